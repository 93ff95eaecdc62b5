//! Reads a library's headers before any of it is mapped: whether it is complete, because reading a
//! page past the end of its file ends the process, and which other libraries it needs.
//!
//! They are read as the loader reads them, by addresses in memory and not by offsets in the file, and
//! a library that two readers could interpret differently is refused. See elf(5) and ld.so(8).
#![allow(clippy::useless_conversion, reason = "the words of 32-bit systems are shorter")]

use object::ReadRef as _;
use object::elf;
use object::endian::NativeEndian;
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};

#[cfg(target_pointer_width = "64")]
type Header = elf::FileHeader64<NativeEndian>;
#[cfg(target_pointer_width = "32")]
type Header = elf::FileHeader32<NativeEndian>;

type Program = <Header as object::read::elf::FileHeader>::ProgramHeader;
type Entry = <Header as object::read::elf::FileHeader>::Dyn;

/// The names of the libraries that the loader would load along with this one.
///
/// # Errors
///
/// A short text about what is wrong with the file.
pub(super) fn libraries_needed(bytes: &[u8]) -> Result<Vec<String>, String> {
    let programs = check_whole(bytes)?;
    let image = Image::of(bytes, programs)?;
    image.libraries_needed()
}

/// Checks that everything the headers mention lies within the file.
fn check_whole(bytes: &[u8]) -> Result<&[Program], String> {
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err("it is not an ELF file".to_owned());
    }
    if bytes.len() < size_of::<Header>() {
        return Err(cut_short());
    }
    let other = |_| "it was built for another kind of machine".to_owned();
    let header = Header::parse(bytes).map_err(other)?;
    let endian = header.endian().map_err(other)?;
    // The methods of the header support numbers of headers that the loader does not.
    let (count, at) = (header.e_phnum(endian), header.e_phoff(endian).into());
    if count == 0 {
        return Err("it has nothing to load".to_owned());
    }
    if usize::from(header.e_phentsize(endian)) != size_of::<Program>() {
        return Err(strange("headers of another size"));
    }
    let programs: &[Program] = bytes.read_slice_at(at, count.into()).map_err(|()| cut_short())?;
    // These are at the end of most files.
    header.section_headers(endian, bytes).map_err(|_| cut_short())?;
    let within = |(start, length): (u64, u64)| {
        start.checked_add(length).is_some_and(|end| end <= bytes.len() as u64)
    };
    let are_within = programs.iter().all(|program| within(program.file_range(endian)));
    if are_within { Ok(programs) } else { Err(cut_short()) }
}

/// How the loader maps the file.
struct Image<'a> {
    bytes: &'a [u8],
    /// In order of their addresses, in pages of their own.
    segments: Vec<Segment>,
    dynamic: u64,
}

/// Bytes of the file that are mapped.
struct Segment {
    address: u64,
    offset: u64,
    length: u64,
}

impl<'a> Image<'a> {
    fn of(bytes: &'a [u8], programs: &[Program]) -> Result<Self, String> {
        let page = rustix::param::page_size() as u64;
        let mut segments = Vec::new();
        let mut dynamic = None;
        let mut mapped_to = 0;
        for program in programs {
            let (address, offset): (u64, u64) =
                (program.p_vaddr(NativeEndian).into(), program.p_offset(NativeEndian).into());
            let (length, in_memory): (u64, u64) =
                (program.p_filesz(NativeEndian).into(), program.p_memsz(NativeEndian).into());
            match program.p_type(NativeEndian) {
                elf::PT_DYNAMIC if dynamic.replace(address).is_some() => {
                    return Err(strange("two dynamic sections"));
                }
                elf::PT_LOAD => {
                    // A page that two segments share has the bytes of the later one.
                    let in_order = address - address % page >= mapped_to;
                    let end = address.checked_add(in_memory.max(length));
                    let end = end.and_then(|end| end.checked_next_multiple_of(page));
                    mapped_to = match end {
                        Some(end) if in_order && address % page == offset % page => end,
                        _ => return Err(strange("segments that overlap")),
                    };
                    segments.push(Segment { address, offset, length });
                }
                _ => {}
            }
        }
        let dynamic = dynamic.ok_or_else(|| "it is not a loadable library".to_owned())?;
        Ok(Self { bytes, segments, dynamic })
    }

    /// The bytes of the file from an address to the end of its segment.
    fn at(&self, address: u64) -> Result<&'a [u8], String> {
        let found = self.segments.iter().find_map(|segment| {
            let within = address.checked_sub(segment.address)?;
            let length = segment.length.checked_sub(within).filter(|length| *length > 0)?;
            self.bytes.read_bytes_at(segment.offset + within, length).ok()
        });
        found.ok_or_else(|| strange("a table that is not in it"))
    }

    fn libraries_needed(&self) -> Result<Vec<String>, String> {
        let mut names = None;
        let mut needed = Vec::new();
        for entry in self.dynamic_entries()? {
            let value: u64 = entry.d_val(NativeEndian).into();
            match entry.d_tag(NativeEndian) {
                elf::DT_STRTAB if names.replace(value).is_some() => {
                    return Err(strange("two tables of names"));
                }
                // All of them name a library that some loader loads.
                elf::DT_NEEDED
                | elf::DT_AUXILIARY
                | elf::DT_FILTER
                | elf::DT_AUDIT
                | elf::DT_DEPAUDIT
                | elf::DT_CONFIG => needed.push(value),
                _ => {}
            }
        }
        if needed.is_empty() {
            return Ok(Vec::new());
        }
        let names = names.ok_or_else(|| strange("no table of names"))?;
        let name = |offset: &u64| {
            let address = names.checked_add(*offset).ok_or_else(|| strange("a name outside"))?;
            let bytes = self.at(address)?;
            let end = memchr::memchr(0, bytes).ok_or_else(|| strange("a name without end"))?;
            Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
        };
        needed.iter().map(name).collect()
    }

    /// The entries up to the one that ends them, until which the loader reads.
    fn dynamic_entries(&self) -> Result<&'a [Entry], String> {
        let bytes = self.at(self.dynamic)?;
        let entries: &[Entry] = bytes
            .read_slice_at(0, bytes.len() / size_of::<Entry>())
            .map_err(|()| strange("a dynamic section that is not aligned"))?;
        let is_last = |entry: &Entry| entry.d_tag(NativeEndian) == elf::DT_NULL;
        let count = entries.iter().position(is_last);
        count.map(|count| &entries[..count]).ok_or_else(|| strange("a dynamic section without end"))
    }
}

fn cut_short() -> String {
    "it is truncated".to_owned()
}

fn strange(what: &str) -> String {
    format!("it has {what}, which no linker writes")
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file that begins as one of this system does, with program headers of any content.
    fn library() -> impl Strategy<Value = Vec<u8>> {
        let number = || prop_oneof![Just(0_u64), Just(64), 0_u64..600, any::<u64>()];
        let kind = prop_oneof![Just(elf::PT_LOAD.0), Just(elf::PT_DYNAMIC.0), any::<u32>()];
        let program = (kind, proptest::array::uniform6(number()));
        let rest =
            proptest::collection::vec(prop_oneof![Just(0_u8), 1_u8..16, any::<u8>()], 0..400);
        (proptest::collection::vec(program, 0..5), rest).prop_map(|(programs, rest)| {
            let own = std::fs::read("/proc/self/exe").unwrap_or_default();
            let mut bytes = own.get(..64).unwrap_or_default().to_vec();
            bytes[0x20..0x28].copy_from_slice(&64_u64.to_ne_bytes());
            bytes[0x28..0x30].fill(0);
            bytes[0x38..0x3a].copy_from_slice(&(programs.len() as u16).to_ne_bytes());
            bytes[0x3c..0x3e].fill(0);
            for (kind, numbers) in programs {
                bytes.extend(u64::from(kind).to_ne_bytes());
                numbers.iter().for_each(|number| bytes.extend(number.to_ne_bytes()));
            }
            bytes.extend(rest);
            bytes
        })
    }

    proptest! {
        #[test]
        fn whatever_its_headers_say_a_library_is_read_or_refused(bytes in library()) {
            // It must not panic.
            if let Err(why) = libraries_needed(&bytes) {
                prop_assert!(!why.is_empty());
            }
        }
    }
}
