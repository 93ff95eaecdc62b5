//! Refuses globs that can match no path of a workspace: a rule that asks would be silently without effect.

/// So many alternatives of one glob are compared at most.
const ALTERNATIVES_MAX: usize = 1000;

/// What a glob's braces are spelled out to, `{a,b}/c` to `a/c` and `b/c`.
///
/// # Errors
/// Why one of these can match no path.
pub(super) fn alternatives(glob: &str) -> Result<Vec<String>, &'static str> {
    let mut spelled_out = Vec::new();
    let mut open = vec![glob.to_owned()];
    while let Some(next) = open.pop() {
        match braces(&next) {
            Some(all) => open.extend(all.into_iter().rev()),
            None => spelled_out.push(next),
        }
        if spelled_out.len() + open.len() > ALTERNATIVES_MAX {
            return Err("its braces have too many alternatives");
        }
    }
    match spelled_out.iter().find_map(|glob| why_without_effect(glob)) {
        Some(reason) => Err(reason),
        None => Ok(spelled_out),
    }
}

/// The alternatives of the first braces; none where there are none, or where they do not end.
fn braces(glob: &str) -> Option<Vec<String>> {
    let mut depth = 0;
    // The first brace, and the commas between its alternatives.
    let mut commas: Vec<usize> = Vec::new();
    for (at, letter) in structure(glob) {
        match letter {
            '{' => depth += 1,
            '}' if depth == 1 => {
                let before = &glob[..*commas.first()?];
                let ends = commas[1..].iter().chain([&at]);
                let each = commas.iter().zip(ends).map(|(from, to)| &glob[from + 1..*to]);
                return Some(each.map(|one| format!("{before}{one}{}", &glob[at + 1..])).collect());
            }
            '}' if depth > 0 => depth -= 1,
            _ => {}
        }
        if depth == 1 && matches!(letter, '{' | ',') {
            commas.push(at);
        }
    }
    None
}

/// The braces and commas that are not escaped and not in a class of characters, with their places.
fn structure(glob: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut is_escaped = false;
    // Where the class begins: its first character may be `]`.
    let mut class: Option<usize> = None;
    glob.char_indices().filter(move |(at, letter)| {
        if std::mem::take(&mut is_escaped) {
            return false;
        }
        match (class, letter) {
            (Some(from), ']') if *at > from => class = None,
            (Some(from), '!' | '^') if *at == from => class = Some(from + 1),
            (Some(_), _) => {}
            (None, '[') => class = Some(at + 1),
            (None, '\\') => is_escaped = true,
            (None, letter) => return matches!(letter, '{' | '}' | ','),
        }
        false
    })
}

/// Why a glob without braces matches no path of a workspace, or not what was meant.
fn why_without_effect(glob: &str) -> Option<&'static str> {
    let escapes_letter = |(at, _): (usize, &str)| {
        glob[at + 1..].starts_with(|next: char| next.is_alphanumeric() || next == '_')
    };
    let drive = |first: &str| matches!(first.as_bytes(), [b'a'..=b'z' | b'A'..=b'Z', b':']);
    let below = glob.strip_suffix('/').unwrap_or(glob);
    let mut names = below.split('/');
    Some(match glob {
        "" => "it is empty",
        _ if glob.starts_with('/') => {
            "paths begin at the workspace's root: leave out the first `/`"
        }
        _ if glob.trim() != glob => "it begins or ends with a blank",
        _ if glob.starts_with('!') => "it cannot be negated: `!` is a character like any other",
        _ if glob.starts_with("~/") || glob == "~" => {
            "`~` is not expanded: paths begin at the workspace's root"
        }
        _ if names.clone().next().is_some_and(drive) => {
            "it names a drive: paths begin at the workspace's root"
        }
        _ if glob.match_indices('\\').any(escapes_letter) => {
            "`\\` takes the meaning from the next character: write `/` between names"
        }
        _ if names.clone().any(|name| matches!(name, "." | "..")) => {
            "a path has no `.` and no `..` in it"
        }
        _ if names.clone().any(str::is_empty) => "it has an empty name beside a `/`",
        _ if names.any(|name| name.contains("**") && name != "**") => {
            "`**` takes the place of whole names: write it as `**/*.md`"
        }
        _ => return None,
    })
}
