# Shared by the lint checks: lists the project's files. Source it from the top folder.
# tracked PATTERN...: prints the names of tracked files, and of new ones that are not ignored. Without git: of all files
# outside of build folders.
tracked() {
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard -- "$@" | while IFS= read -r file; do
            [ -f "$file" ] && printf '%s\n' "$file"
        done
    else
        local pattern
        for pattern in "$@"; do
            find . \( -name build -o -name .git \) -prune -o -type f -path "./$pattern" -print
        done | sed 's|^\./||'
    fi | LC_ALL=C sort -u
}
