# bash completion for ravel. Commands and options are asked of the program itself, so that they are never out of date.

# Keys of the schema below the section that is being typed: "train." after "tr", "train.max_steps" after "train.m".
# $1 ravel, $2 what is typed, $3 what follows a complete key
_ravel_keys() {
    local section=
    [[ $2 == *.* ]] && section=${2%.*}
    "$1" config explain $section 2>/dev/null |
        sed -nE "0,/^  keys:/d; s/^    ([a-z_0-9]+) .*\(a section\)\$/${section:+$section.}\1./p; t; s/^    ([a-z_0-9]+) .*/${section:+$section.}\1$3/p"
}

# The words that a key takes, if it takes any. $1 ravel, $2 key
_ravel_values() {
    "$1" config explain "$2" 2>/dev/null | sed -nE 's/^  value:   //p' | grep -vE '^a |^auto or ' | sed 's/,//g; s/ or / /g' | tr ' ' '\n' | sort -u
}

# Experiments that a command takes by name. $1 ravel, $2 command
_ravel_experiments() {
    case $2 in compare | train | probe | summary | config) ;; *) return ;; esac
    "$1" config list 2>/dev/null | sed 's/ .*//' |
        if [ "$2" = compare ]; then sed -n 's/\/compare$//p; /\/compare-/p'; else cat; fi
}

_ravel() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} ravel=${COMP_WORDS[0]} command=${COMP_WORDS[1]} word file= names
    COMPREPLY=()
    [ "$command" = help ] && [ "$COMP_CWORD" -eq 2 ] && COMP_CWORD=1
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "$("$ravel" --help 2>/dev/null | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p') --help --version" -- "$cur"))
        return
    fi
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$("$ravel" "$command" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)" -- "$cur"))
        return
    fi
    if [ "$COMP_CWORD" -eq 2 ] && [[ $command == @(config|data|ckpt|tokenizer) ]]; then # actions, from the usage lines or their table
        COMPREPLY=($(compgen -W "$("$ravel" "$command" --help 2>/dev/null |
            sed -nE 's/^(Usage|  or): *ravel [a-z]+ \[OPTION\.\.\.\] ([a-z]+).*/\2/p; s/^  ([a-z]+) +[a-z].*/\1/p' | grep -vx ravel | sort -u)" -- "$cur"))
        return
    fi
    if [ "$command" = data ] && [[ ${COMP_WORDS[2]} == @(get|path) ]]; then
        COMPREPLY=($(compgen -W "$("$ravel" data list 2>/dev/null | sed 's/ .*//')" -- "$cur"))
        return
    fi
    if [ "$command" = bench ]; then
        COMPREPLY=($(compgen -W "all $("$ravel" bench --help 2>/dev/null | sed -n 's/^Workloads: //p')" -- "$cur"))
        return
    fi
    names=$(_ravel_experiments "$ravel" "$command")
    for word in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do [[ $word == *.yaml || $'\n'$names$'\n' == *$'\n'$word$'\n'* ]] && file=$word; done
    case $prev in # options that take a file, or one of a few words
    --input | --output | --attention | --prompt-file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --split) COMPREPLY=($(compgen -W "train valid test" -- "$cur")); return ;;
    esac
    if [[ $prev == = || $cur == = ]]; then # "=" is a word of its own, as COMP_WORDBREAKS has it
        word=${COMP_WORDS[COMP_CWORD - 1 - (${#prev} == 1)]}
        COMPREPLY=($(compgen -W "$(_ravel_values "$ravel" "$word")" -- "${cur#=}"))
    elif [[ $cur == ?*=* ]]; then
        COMPREPLY=($(compgen -P "${cur%%=*}=" -W "$(_ravel_values "$ravel" "${cur%%=*}")" -- "${cur#*=}"))
    elif [ "$prev" = explain ]; then
        COMPREPLY=($(compgen -W "$(_ravel_keys "$ravel" "$cur" "")" -- "$cur"))
        compopt -o nospace
    elif [ -n "$file" ] && [[ $cur != */* ]]; then # after an experiment file: the key of a value to replace
        COMPREPLY=($(compgen -W "$(_ravel_keys "$ravel" "$cur" =)" -- "$cur"))
        compopt -o nospace
    else # experiments, checkpoints, run folders
        compopt -o filenames
        COMPREPLY=($(compgen -d -- "$cur") $(compgen -f -X '!*.yaml' -- "$cur") $(compgen -f -X '!*.h5' -- "$cur") $(compgen -W "$names" -- "$cur"))
    fi
}
complete -F _ravel ravel
