# Completion of dynia(1) for fish. The program itself knows what may come next: `dynia complete WORD...`

function __dynia_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l prefix (string match -r -- '^--[^=]*=' $words[-1])
    set -l value (string replace -r -- '^--[^=]*=' '' $words[-1])

    for line in ($words[1] complete $words[2..] 2>/dev/null)
        switch $line
            case ':files' ':dirs'
                for path in (complete -C "'' $value")
                    if test "$line" = ':files'; or string match -q '*/' -- (string split -f 1 \t -- $path)
                        printf '%s%s\n' "$prefix" $path
                    end
                end
            case '*'
                printf '%s%s\n' "$prefix" $line
        end
    end
end

complete -c dynia -f -a '(__dynia_complete)'
