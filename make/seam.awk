# seam.awk: what plug-ins and program must agree on, out of the one header (plugins.mk): a line for each declaration, its parts behind each other, as the
# macro ZO_PLUGIN_SEAM. Lines begin with how the declaration may differ (optimizers/plugins.c):
#   grows   parts are added at the end: slots of ZO_PLUGIN_TABLES, and lists X(...) X(...)
#   counts  the same before a last part that counts: enumerations
#   fixed   not at all: functions, numbers, ZO_PLUGIN_VALUES, and the tags of the ledger, of which tables have arrays
function squeezed(text) {
    gsub(/[ \t\n\\]+/, " ", text)
    gsub(/^ | $/, "", text)
    return text
}
# The text between the braces of "HEAD {".
function body(head,    at, depth, from, c) {
    at = index(text, head " {")
    if (at == 0) {
        print "seam.awk: there is no \"" head " {\"" > "/dev/stderr"
        exit 1
    }
    at += length(head) + 2
    from = at
    for (depth = 1; depth > 0; at++) {
        c = substr(text, at, 1)
        depth += (c == "{") - (c == "}")
    }
    return squeezed(substr(text, from, at - 1 - from))
}
function put(how, name, parts) {
    gsub(/"/, "\\\"", parts)
    out = out " \\\n    \"" how " " name ": " parts "\\n\""
}
# The types in "X(zo_a) X(zo_b)".
function put_structs(how, list,    n, i, name) {
    n = split(list, name, /[ ()X]+/)
    for (i = 1; i <= n; i++) {
        if (name[i] != "") {
            put(how, name[i], body("typedef struct " name[i]))
        }
    }
}
{ whole = whole $0 "\n" }
END {
    text = whole
    while ((at = index(text, "/*")) > 0) { # comments out
        after = substr(text, at + 2)
        text = substr(text, 1, at - 1) " " substr(after, index(after, "*/") + 2)
    }
    gsub(/\\\n/, " ", text)
    n = split(text, line, "\n")
    for (i = 1; i <= n; i++) {
        if (line[i] ~ /^#define ZO_[A-Z_]+ +[0-9]/) { # numbers, such as lengths of arrays
            split(line[i], word, " ")
            put("fixed", word[2], word[3])
        } else if (match(line[i], /^enum \{.*\};/)) {
            parts = squeezed(substr(line[i], 7, RLENGTH - 8))
            split(parts, word, " ")
            put("fixed", word[1], parts)
        } else if (line[i] ~ /^[a-z].*[ *]zo_[a-z0-9_]+\(/ && line[i] !~ /^(static|typedef) /) { # a function
            for (parts = line[i]; parts !~ /;/; parts = parts " " line[++i]) {
            }
            match(parts, /zo_[a-z0-9_]+\(/)
            put("fixed", substr(parts, RSTART, RLENGTH - 1) "()", squeezed(substr(parts, 1, index(parts, ";") - 1)))
        } else if (match(line[i], /^#define ZO_[A-Z_]+\(X\)/)) {
            name = substr(line[i], 9, RLENGTH - 11)
            parts = squeezed(substr(line[i], RLENGTH + 1))
            if (name == "ZO_PLUGIN_TABLES" || name == "ZO_PLUGIN_VALUES") {
                put_structs(name == "ZO_PLUGIN_TABLES" ? "grows" : "fixed", parts)
            } else {
                put(name == "ZO_TAG_LIST" ? "fixed" : "grows", name, parts)
            }
        } else if (match(line[i], /^typedef enum zo_[a-z0-9_]+ \{/)) {
            name = substr(line[i], 14, RLENGTH - 15)
            put("counts", name, body("typedef enum " name))
        }
    }
    print "/* Made of what follows (make/seam.awk). */\n#define ZO_PLUGIN_SEAM" out "\n"
}
