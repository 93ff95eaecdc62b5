//! What a binary runs on, as the binary itself says.
//!
//! The platform tags of wheels are those of [PEP 600] and [PEP 656]. A binary that is linked against
//! glibc needs the newest version among those of its symbols.
//!
//! [PEP 600]: https://peps.python.org/pep-0600/
//! [PEP 656]: https://peps.python.org/pep-0656/

use std::fmt;
use std::str::FromStr;

use miette::{IntoDiagnostic as _, Result, miette};
use object::read::elf::{Dyn as _, ElfFile64, FileHeader as _, ProgramHeader as _};
use object::read::macho::MachOFile64;
use object::{Architecture, Endianness, FileKind, Object as _, elf};

/// Libraries that every Linux system with glibc has, as PEP 600 lists them; the others would have to be packed.
const SYSTEM_LIBRARIES: [&str; 9] = [
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "librt.so.1",
    "libpthread.so.0",
    "libutil.so.1",
    LIBGCC,
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

const LIBGCC: &str = "libgcc_s.so.1";

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) architecture: Arch,
    pub(super) system: System,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Arch {
    X86_64,
    Aarch64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum System {
    Glibc(Glibc),
    /// Linux, without any library of the system.
    Static,
    /// macOS, with the oldest version on which it runs.
    MacOs(u16, u8),
    Windows,
}

/// What a binary needs of glibc.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Glibc {
    pub(super) version: GlibcVersion,
    /// One of the symbols that need this version.
    pub(super) symbol: String,
    pub(super) needs_libgcc: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GlibcVersion(pub(super) u32, pub(super) u32);

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for GlibcVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // `2.2.5` exists; its last number never decides.
        let mut numbers = text.split('.').map(str::parse::<u32>);
        match (numbers.next(), numbers.next(), numbers.all(|number| number.is_ok())) {
            (Some(Ok(major)), Some(Ok(minor)), true) => Ok(Self(major, minor)),
            _ => Err(format!("`{text}` is no version such as 2.17")),
        }
    }
}

impl Target {
    /// Reads the headers of a program.
    pub(super) fn of(bytes: &[u8]) -> Result<Self> {
        let file = object::File::parse(bytes).into_diagnostic()?;
        let architecture = match file.architecture() {
            Architecture::X86_64 => Arch::X86_64,
            Architecture::Aarch64 => Arch::Aarch64,
            other => return Err(miette!("it is for {other:?}, which is not packed")),
        };
        let system = match FileKind::parse(bytes).into_diagnostic()? {
            FileKind::Elf64 => of_elf(bytes)?,
            FileKind::MachO64 => of_mach_o(bytes)?,
            FileKind::Pe64 => System::Windows,
            other => return Err(miette!("it is a {other:?}, which is not packed")),
        };
        Ok(Self { architecture, system })
    }

    /// Its name in Rust.
    pub(super) fn triple(&self) -> String {
        let rest = match self.system {
            System::Glibc(_) => "unknown-linux-gnu",
            System::Static => "unknown-linux-musl",
            System::MacOs(..) => "apple-darwin",
            // How release builds are made; a binary of MinGW is packed under the same name.
            System::Windows => "pc-windows-msvc",
        };
        format!("{}-{rest}", self.architecture.name())
    }

    pub(super) fn glibc(&self) -> Option<&Glibc> {
        match &self.system {
            System::Glibc(glibc) => Some(glibc),
            _ => None,
        }
    }

    /// The file name of the command.
    pub(super) fn program_name(&self) -> &'static str {
        match self.system {
            System::Windows => "greenroom.exe",
            _ => "greenroom",
        }
    }

    /// The platforms of a wheel, as pip matches them.
    pub(super) fn wheel_platforms(&self) -> Vec<String> {
        let arch = self.architecture.name();
        match &self.system {
            System::Glibc(Glibc { version: GlibcVersion(major, minor), .. }) => {
                // There is no older tag for this architecture than that of its first release.
                let minor = (*minor).max(17);
                let mut platforms = vec![format!("manylinux_{major}_{minor}_{arch}")];
                // The name that pip 19.3 to 20.2 know.
                platforms.extend((minor == 17).then(|| format!("manylinux2014_{arch}")));
                platforms
            }
            // It runs beside every C library.
            System::Static => vec![
                format!("manylinux_2_17_{arch}"),
                format!("manylinux2014_{arch}"),
                format!("musllinux_1_1_{arch}"),
            ],
            System::MacOs(major, minor) => {
                let arch = if self.architecture == Arch::Aarch64 { "arm64" } else { arch };
                // From macOS 11 on, minor versions make no tag.
                let minor = if *major >= 11 { 0 } else { *minor };
                vec![format!("macosx_{major}_{minor}_{arch}")]
            }
            System::Windows if self.architecture == Arch::Aarch64 => vec!["win_arm64".to_owned()],
            System::Windows => vec!["win_amd64".to_owned()],
        }
    }

    /// For a person.
    pub(super) fn in_words(&self) -> String {
        let triple = self.triple();
        match &self.system {
            System::Glibc(glibc) => format!("{triple}, glibc {} or newer", glibc.version),
            System::Static => format!("{triple}, static: it cannot load plugins"),
            System::MacOs(major, minor) => format!("{triple}, macOS {major}.{minor} or newer"),
            System::Windows => triple,
        }
    }
}

impl Arch {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

fn of_elf(bytes: &[u8]) -> Result<System> {
    let file: ElfFile64<'_, Endianness> = ElfFile64::parse(bytes).into_diagnostic()?;
    let (header, endian) = (file.elf_header(), file.endian());
    let programs = header.program_headers(endian, bytes).into_diagnostic()?;
    let loader = programs.iter().find(|program| program.p_type(endian) == elf::PT_INTERP);
    let Some(loader) = loader else { return Ok(System::Static) };
    let loader = loader.interpreter(endian, bytes).into_diagnostic()?.unwrap_or_default();
    let loader = String::from_utf8_lossy(loader);
    if !loader.contains("/ld-linux") {
        return Err(miette!("its loader is {loader}: only glibc's and static programs are packed"));
    }
    let sections = file.elf_section_table();
    let mut needs_libgcc = false;
    if let Some((entries, link)) = sections.dynamic(endian, bytes).into_diagnostic()? {
        let strings = sections.strings(endian, bytes, link).into_diagnostic()?;
        for entry in entries.iter().filter(|entry| entry.tag(endian) == elf::DT_NEEDED) {
            let name = entry.string(endian, strings).into_diagnostic()?;
            let name = String::from_utf8_lossy(name);
            needs_libgcc |= name == LIBGCC;
            if !SYSTEM_LIBRARIES.contains(&name.as_ref()) {
                return Err(miette!("it needs {name}, which is not on every system"));
            }
        }
    }
    let (version, symbol) = newest_glibc(&file)?;
    Ok(System::Glibc(Glibc { version, symbol, needs_libgcc }))
}

/// The newest version of glibc among those of the symbols, with one of these symbols.
fn newest_glibc(file: &ElfFile64<'_, Endianness>) -> Result<(GlibcVersion, String)> {
    let (endian, bytes) = (file.endian(), file.data());
    let versions = file.elf_section_table().versions(endian, bytes).into_diagnostic()?;
    let versions = versions.ok_or_else(|| miette!("its symbols have no versions"))?;
    let symbols = file.elf_dynamic_symbol_table();
    let mut newest = None;
    for (index, symbol) in symbols.enumerate() {
        let version = versions.version_index(endian, index);
        let Some(version) = versions.version(version.into()).into_diagnostic()? else { continue };
        let Some(number) = version.name().strip_prefix(b"GLIBC_") else { continue };
        let Ok(number) = String::from_utf8_lossy(number).parse::<GlibcVersion>() else { continue };
        if newest.as_ref().is_none_or(|(known, _)| *known < number) {
            let name = symbols.symbol_name(endian, symbol).into_diagnostic()?;
            newest = Some((number, String::from_utf8_lossy(name).into_owned()));
        }
    }
    newest.ok_or_else(|| miette!("none of its symbols is of glibc"))
}

fn of_mach_o(bytes: &[u8]) -> Result<System> {
    let file: MachOFile64<'_, Endianness> = MachOFile64::parse(bytes).into_diagnostic()?;
    let endian = file.endian();
    let mut commands = file.macho_load_commands().into_diagnostic()?;
    while let Some(command) = commands.next().into_diagnostic()? {
        if let Some((build, _)) = command.build_version(endian).into_diagnostic()? {
            // `xxxx.yy.zz`, in nibbles.
            let [major_high, major_low, minor, _] = build.minos.get(endian).0.to_be_bytes();
            return Ok(System::MacOs(u16::from_be_bytes([major_high, major_low]), minor));
        }
    }
    Err(miette!("it does not say on which version of macOS it runs"))
}

#[cfg(test)]
mod tests;
