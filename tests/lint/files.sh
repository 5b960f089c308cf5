# Shared by the lint checks: which files are the project's. Source it from the top folder.
# tracked PATTERN...: names of tracked files, and of new ones that are not ignored; without git, of all but build folders.
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
