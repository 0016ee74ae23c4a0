# shellcheck shell=bash
# Completion of dynia(1) for bash. The program itself knows what may come next: `dynia complete WORD...`

_dynia()
{
	local words=() lines=() line word value prefix=
	local breaks='^(.*[^[:space:]])?=$'

	# COMP_WORDBREAKS has taken "--name=value" apart: together again. What is replaced is the value alone.
	for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
		if ((${#words[@]})) && [[ $word == '=' || ${words[-1]} =~ $breaks ]]; then
			words[-1]+=$word
		else
			words+=("$word")
		fi
	done
	value=${words[-1]}
	if [[ $value == --*=* ]]; then
		# Where '=' does not break words, what is replaced is all of it.
		[[ ${COMP_WORDS[COMP_CWORD]} == --*=* ]] && prefix=${value%%=*}=
		value=${value#*=}
	fi
	mapfile -t lines < <("$1" complete "${words[@]}" 2>/dev/null)
	COMPREPLY=()
	for line in "${lines[@]}"; do
		case $line in
		:files | :dirs)
			compopt -o filenames 2>/dev/null
			while IFS= read -r word; do
				COMPREPLY+=("$prefix$word")
			done < <(compgen -"${line:1:1}" -- "$value")
			;;
		*) COMPREPLY+=("$prefix${line%%$'\t'*}") ;;
		esac
	done
}

complete -F _dynia dynia
