//! File names in the headers of a patch, as git writes them with `core.quotePath` on.

/// The name as it is written in a header: unchanged, or in double quotes with C escapes if it contains
/// a control byte, a quote, a backslash or anything that is not ASCII.
///
/// A name that ends in a space is quoted too, because `patch` drops the space otherwise. Git reads
/// such names, but does not write them.
pub fn quote(name: &[u8]) -> Vec<u8> {
    quote_if(name, needs_quotes(name))
}

/// Like [`quote`], but also in quotes if it contains a space, for lines in which a space ends a name.
pub(crate) fn quote_spaces(name: &[u8]) -> Vec<u8> {
    quote_if(name, needs_quotes(name) || name.contains(&b' '))
}

fn needs_quotes(name: &[u8]) -> bool {
    name.ends_with(b" ")
        || name.iter().any(|byte| !(b' '..=b'~').contains(byte) || matches!(byte, b'"' | b'\\'))
}

fn quote_if(name: &[u8], quoted: bool) -> Vec<u8> {
    if !quoted {
        return name.to_vec();
    }
    let mut out = vec![b'"'];
    for &byte in name {
        let letter = match byte {
            0x07 => b'a',
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0b => b'v',
            0x0c => b'f',
            b'\r' => b'r',
            b'"' | b'\\' => byte,
            b' '..=b'~' => {
                out.push(byte);
                continue;
            }
            _ => {
                out.extend(format!("\\{byte:03o}").bytes());
                continue;
            }
        };
        out.extend([b'\\', letter]);
    }
    out.push(b'"');
    out
}
