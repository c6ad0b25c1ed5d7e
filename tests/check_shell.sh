#!/bin/bash
# check_shell.sh ZO: completion and manual page follow the program: every command, and options of each, without a list of their own.
set -eu
zo=${1:-./zo}
[ -x "$zo" ] || { echo "skipped: completion and manual, which want $zo (make)"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
ln -s "$(realpath "$zo")" "$folder/zo"
PATH=$folder:$PATH
. make/shell/zo.bash
fails=0
# completes WORD... WANTED: the last word before WANTED is the one that stands at the cursor.
completes() {
    local wanted=${*: -1}
    COMP_WORDS=("${@:1:$#-1}")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _zo
    case " ${COMPREPLY[*]} " in
    *" $wanted "*) ;;
    *) echo "check: \"${COMP_WORDS[*]}\" does not complete to $wanted: ${COMPREPLY[*]}"; fails=1 ;;
    esac
}
commands=$(zo help | sed -n 's/^  zo \([a-z]*\) .*/\1/p')
[ "$(echo "$commands" | wc -w)" -gt 15 ] || { echo 'check: zo help lists fewer commands than there are'; fails=1; }
for command in $commands; do
    completes zo "${command%?}" "$command"
done
completes zo run --dry --dry-run
completes zo report --aga --against
completes zo report --format la latex
completes zo report --against mezo-s mezo-svrg
completes zo list opt optimizers
completes zo show sst sst2
completes zo run make/shell/zo. make/shell/zo.bash
make/shell/man.sh zo >"$folder/zo.1"
for command in $commands; do
    [ "$command" = help ] || grep -q "^\.SS zo $command\$" "$folder/zo.1" || { echo "check: the manual page lacks $command"; fails=1; }
done
if grep -n "^[.']" "$folder/zo.1" | grep -vE ":\.(TH|SH|SS|B|I|nf|fi)( |\$)"; then
    echo 'check: a line of the manual page is read as a request'
    fails=1
fi
[ $fails = 0 ] && echo 'check: completion and manual page follow the program'
exit $fails
