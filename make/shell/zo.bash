# zo.bash: completion for bash. What may stand where: words.sh.
declare -F _zo_words >/dev/null || . "${BASH_SOURCE[0]%/*}/words.sh"
_zo() {
    local words
    words=$(_zo_words "${COMP_WORDS[0]}" "$COMP_CWORD" "${COMP_WORDS[1]-}" "${COMP_WORDS[COMP_CWORD - 1]}" "${COMP_WORDS[COMP_CWORD]}" | cut -f 1)
    if [ -n "$words" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")
    else
        compopt -o filenames 2>/dev/null || : # a folder's name goes on with a slash; not a command's that a folder here has too
        mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
    fi
}
complete -F _zo zo
