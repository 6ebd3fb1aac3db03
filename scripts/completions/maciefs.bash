# Completion of maciefs(1) for bash.

_maciefs_options() {
    local options='endpoint= addressing= region= profile= role_arn= external_id= sts_endpoint= no_sign requester_pays
                   expected_bucket_owner= ca_bundle= sse_customer_key= connections= poll= timezone= dir_ttl=
                   max_object= window= pace= shape= account_alias= cache= cache_size= uid= gid= umask= allow_other noallow_other ro nosuid nodev
                   noexec _netdev nofail'
    local before='' last=$1
    [[ $1 != *,* ]] || { before=${1%,*}, last=${1##*,}; }
    case $last in
    addressing=*)
        COMPREPLY=($(compgen -P "${before}addressing=" -W 'path virtual' -- "${last#*=}"))
        ;;
    shape=*)
        COMPREPLY=($(compgen -P "${before}shape=" -W 'wazuh event' -- "${last#*=}"))
        ;;
    cache=*)
        COMPREPLY=($(compgen -P "${before}cache=" -d -- "${last#*=}"))
        ;;
    ca_bundle=* | sse_customer_key=*)
        COMPREPLY=($(compgen -P "$before${last%%=*}=" -f -- "${last#*=}"))
        ;;
    uid=*)
        COMPREPLY=($(compgen -P "${before}uid=" -u -- "${last#*=}"))
        ;;
    gid=*)
        COMPREPLY=($(compgen -P "${before}gid=" -g -- "${last#*=}"))
        ;;
    profile=*)
        local files=("${AWS_CONFIG_FILE:-$HOME/.aws/config}"
            "${AWS_SHARED_CREDENTIALS_FILE:-$HOME/.aws/credentials}")
        local profiles
        profiles=$(sed -nE 's/^\[(profile +)?([^] ]+)\].*/\2/p' "${files[@]}" 2>/dev/null | sort -u)
        COMPREPLY=($(compgen -P "${before}profile=" -W "$profiles" -- "${last#*=}"))
        ;;
    *)
        COMPREPLY=($(compgen -P "$before" -W "$options" -- "$last"))
        ;;
    esac
    compopt -o nospace
}

_maciefs() {
    # readline splits words at '=' and ':' too; here only white space does.
    local line=${COMP_LINE:0:COMP_POINT} words cur=''
    read -ra words <<<"$line"
    if [[ $line == *[![:space:]] ]]; then
        cur=${words[-1]}
        unset 'words[-1]'
    fi
    local prev=${words[-1]}

    if [[ $prev == -o ]]; then
        _maciefs_options "$cur"
    elif [[ $cur == -* && ${words[1]:-} == check ]]; then
        COMPREPLY=($(compgen -W '-o --json --help' -- "$cur"))
    elif [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W '-f -d -o --help --version' -- "$cur"))
    elif [[ $cur == file:///* ]]; then
        COMPREPLY=($(compgen -P 'file://' -d -S / -- "${cur#file://}"))
        compopt -o nospace
    elif ((${#words[@]} == 1)) && [[ check == "$cur"* && -n $cur ]]; then
        COMPREPLY=(check)
    elif ((${#words[@]} == 1)); then
        COMPREPLY=($(compgen -W 'check s3:// file:///' -- "$cur"))
        compopt -o nospace
    elif [[ ${#words[@]} == 2 && ${words[1]} == check ]]; then
        COMPREPLY=($(compgen -W 's3:// file:///' -- "$cur"))
        compopt -o nospace
    else
        COMPREPLY=($(compgen -d -- "$cur"))
        compopt -o filenames
    fi

    # readline replaces only what follows the last word break.
    local kept=${cur%"${cur##*[=:]}"} i
    if [[ -n $kept && $COMP_WORDBREAKS == *[=:]* ]]; then
        for i in "${!COMPREPLY[@]}"; do
            COMPREPLY[i]=${COMPREPLY[i]#"$kept"}
        done
    fi
}

complete -F _maciefs maciefs
