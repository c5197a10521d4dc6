# bash completion for ravel. Commands and options are asked of the program itself, so that they are never out of date.

_ravel() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} ravel=${COMP_WORDS[0]} command=${COMP_WORDS[1]}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "$("$ravel" --help 2>/dev/null | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p') --help --version" -- "$cur"))
        return
    fi
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$("$ravel" "$command" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)" -- "$cur"))
        return
    fi
    case $prev in
    explain) COMPREPLY=($(compgen -W "$("$ravel" config explain 2>/dev/null | grep -oE '^ *[a-z_]+(\.[a-z_]+)*' | sort -u)" -- "$cur")); return ;;
    esac
    # Experiment files, checkpoints and run folders; after a file, keys to replace.
    local file=
    for word in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do [[ $word == *.yaml ]] && file=$word; done
    if [ -n "$file" ] && [[ $cur != */* && $cur != *=* ]]; then
        COMPREPLY=($(compgen -S = -W "$("$ravel" config explain 2>/dev/null | grep -oE '^ *[a-z_]+(\.[a-z_]+)*' | sort -u)" -- "$cur"))
        compopt -o nospace
    fi
    COMPREPLY+=($(compgen -d -S / -- "$cur") $(compgen -f -X '!*.@(yaml|h5|txt)' -- "$cur"))
    [ ${#COMPREPLY[@]} -eq 1 ] && [[ ${COMPREPLY[0]} == */ ]] && compopt -o nospace
}
complete -F _ravel ravel
