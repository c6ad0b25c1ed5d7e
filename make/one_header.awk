# one_header.awk: a header and all that it includes between quotes as one text: each once, where it is first asked for.
function put(file,    line, part) {
    if (seen[file]++) {
        return
    }
    while ((status[file] = (getline line < file)) > 0) {
        if (line ~ /^#include "/) {
            split(line, part, "\"")
            put(part[2])
        } else {
            print line
        }
    }
    if (status[file] < 0) {
        print "one_header.awk: " file " cannot be read" > "/dev/stderr"
        exit 1
    }
    close(file)
}
BEGIN { put(ARGV[1]) }
