# words.sh: what may stand at a word of `zo`, for any shell; zo.bash and _zo ask it, and `make install` puts it into both. Commands and options are those
# that `zo help` tells, names are those of `zo list`: no list stands here.
#
# _zo_words ZO N COMMAND BEFORE WORD: for word N of the line (1 = the command), which begins with ZO as it is typed, behind the word BEFORE, of which WORD is
# typed: lines "word<TAB>what it is", those too that do not begin with WORD. Nothing where a file is meant.
_zo_words() {
    local zo=$1
    shift
    case "$1 $2 $4" in
    "1 "* | "2 help "*) "$zo" help 2>/dev/null | sed -n 's/^  zo \([a-z]*\)  *\(.*\)/\1\t\2/p' ;;
    *" -"*) # where an option has a line of its own, what stands there
        "$zo" help "$2" 2>/dev/null | awk '{
            text = match($0, /^  --[a-z-]+( [^ ,]+)? +/) ? substr($0, RLENGTH + 1) : ""
            sub(/  +--.*/, "", text)
            for (rest = $0; match(rest, /--[a-z][a-z-]*/); rest = substr(rest, RSTART + RLENGTH)) {
                option = substr(rest, RSTART, RLENGTH)
                if (said[option] == "") said[option] = text
                text = ""
            }
        } END { for (option in said) print option "\t" said[option] }' | sort ;;
    "2 list "*) "$zo" help list 2>/dev/null | sed -n 's/^usage: zo list \([^ ]*\).*/\1/p' | tr '|' '\n' ;;
    "2 bench "*) "$zo" help bench 2>/dev/null | sed -nE 's/^(usage:|      ) zo bench ([a-z]+) .*/\2/p' ;;
    "2 show "*) "$zo" list tasks --json 2>/dev/null | sed -n 's/.*"task":[[:space:]]*"\([^"]*\)".*/\1/p' ;;
    *)
        case "$3" in
        --only) [ "$2" != plot ] || "$zo" list plots --json 2>/dev/null | sed -n 's/.*"plot":[[:space:]]*"\([^"]*\)".*/\1/p' ;;
        --against | --optimizer) "$zo" list optimizers --json 2>/dev/null | sed -n 's/.*"optimizer":[[:space:]]*"\([^"]*\)".*/\1/p' ;;
        --*) # one of those that stand behind it in the help
            "$zo" help "$2" 2>/dev/null | grep -oE -- "$3 [a-z0-9]+(\|[a-z0-9]+)+" | head -n 1 | sed 's/.* //' | tr '|' '\n' ;;
        esac ;;
    esac
}
