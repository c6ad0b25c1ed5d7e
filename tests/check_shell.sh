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
completes zo bench gem gemm
completes zo diff --by kern kernel
completes zo plot --only accuracy_v accuracy_vs_work
completes zo run make/shell/zo. make/shell/zo.bash
# What the Tab key makes of a line in an interactive bash, as the program is called in its own tree, where folders have names that options have too.
if command -v script >/dev/null; then
    printf '. make/shell/zo.bash\nkeep() { echo "$READLINE_LINE" >>%s/typed; READLINE_LINE=; }\nbind -x %s\n' "$folder" "'\"\\C-x\\C-k\": keep'" >"$folder/rc"
    { printf '%s\t\x18\x0b' 'zo ben' './zo ben' 'zo list optim' 'zo run make/she'; printf '\x04'; } |
        timeout 60 script -qc "env INPUTRC=/dev/null TERM=dumb bash --rcfile $folder/rc -i" /dev/null >/dev/null || :
    if ! printf '%s\n' 'zo bench ' './zo bench ' 'zo list optimizers ' 'zo run make/shell/' | diff - "$folder/typed"; then
        echo 'check: completion of bash: < wanted, > got'
        fails=1
    fi
else
    echo 'skipped: the Tab key in bash, which wants script (bsdutils)'
fi
# zsh: what the Tab key makes of a line in an interactive shell, with the file as `make install` writes it.
if command -v zsh >/dev/null; then
    sed '1r make/shell/words.sh' make/shell/_zo >"$folder/_zo"
    cat >"$folder/tab.zsh" <<'ZSH'
# tab.zsh FOLDER LINE...: each line with a Tab behind it, one a line, into FOLDER/kept
zmodload zsh/zpty
zpty shell TERM=dumb zsh -f -i
zpty -w shell "fpath=($1 \$fpath); autoload -Uz compinit; compinit -D -u; keep() { print -r -- \$BUFFER >>$1/kept; BUFFER= }; zle -N keep; bindkey '^X^K' keep; echo >$1/ready"
# The shell stops when nobody reads what it prints.
wait_for() { for ((i = 0; i < 300; i++)); do zpty -rt shell printed; eval "$1" && return; sleep 0.1; done; exit 1 }
wait_for "[[ -e $1/ready ]]"
for ((n = 2; n <= $#; n++)); do
    zpty -wn shell "$argv[n]"$'\t\x18\x0b'
    wait_for "[[ -e $1/kept && \$(wc -l <$1/kept) -ge $((n - 1)) ]]"
done
zpty -d shell
ZSH
    : >"$folder/wanted"
    lines=()
    tabbed() { lines+=("$1"); echo "$2" >>"$folder/wanted"; }
    for command in $commands; do # those that all but the last letter tell from the others
        [ "$(echo "$commands" | grep -c "^${command%?}")" != 1 ] || tabbed "zo ${command%?}" "zo $command "
    done
    tabbed 'zo run --dry' 'zo run --dry-run '
    tabbed 'zo report --format la' 'zo report --format latex '
    tabbed 'zo report --against mezo-s' 'zo report --against mezo-svrg '
    tabbed 'zo show trec' 'zo show trec '
    tabbed 'zo run make/shell/zo.' 'zo run make/shell/zo.bash '
    zsh -f "$folder/tab.zsh" "$folder" "${lines[@]}" || { echo 'check: zsh did not answer'; fails=1; }
    if ! diff "$folder/wanted" "$folder/kept"; then
        echo 'check: completion of zsh: < wanted, > got'
        fails=1
    fi
else
    echo 'skipped: completion of zsh, which wants zsh'
fi
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
