//! A look at a library's own table of contents, so that a file cut short is not mapped: reading a
//! page that lies past the end of its file ends the process.

/// Whether everything the headers speak of lies within the file. Formats other than 64-bit
/// little-endian ELF are left to the loader.
pub(super) fn check_whole(bytes: &[u8]) -> Result<(), String> {
    const ELF: &[u8] = b"\x7fELF";
    const CLASS_64_LITTLE_ENDIAN: &[u8] = &[2, 1];
    if !bytes.starts_with(ELF) {
        return if cfg!(all(unix, not(target_vendor = "apple"))) {
            Err("it is not an ELF file".to_owned())
        } else {
            Ok(())
        };
    }
    if bytes.get(4..6) != Some(CLASS_64_LITTLE_ENDIAN) {
        return Ok(());
    }
    let cut_short = || "it is cut short".to_owned();
    let word = |at: usize| number(bytes, at, 8).ok_or_else(cut_short);
    let half = |at: usize| number(bytes, at, 2).ok_or_else(cut_short);
    let (programs, program_bytes, program_count) = (word(0x20)?, half(0x36)?, half(0x38)?);
    let (sections, section_bytes, section_count) = (word(0x28)?, half(0x3a)?, half(0x3c)?);
    if program_count == 0 {
        return Err("it has nothing to load".to_owned());
    }
    let within = |start: u64, length: u64| {
        start.checked_add(length).is_some_and(|end| end <= bytes.len() as u64)
    };
    if !within(programs, program_bytes * program_count)
        || !within(sections, section_bytes * section_count)
    {
        return Err(cut_short());
    }
    for index in 0..program_count {
        let at = (programs + index * program_bytes) as usize;
        if !within(word(at + 0x08)?, word(at + 0x20)?) {
            return Err(cut_short());
        }
    }
    Ok(())
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(length)?)?;
    Some(field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}
