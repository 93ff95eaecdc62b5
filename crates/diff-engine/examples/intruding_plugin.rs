//! A plugin that makes the system calls that lines of the new file tell it to, and some while it is
//! being loaded. The tests load it.
//!
//! `call: NUMBER ARGUMENT…` makes one call; an argument is a number, `path:…`, `hex:…` for bytes, or
//! `zeros` for a place with zeros. `sweep: NUMBER…` makes every call but those listed, with arguments that no call
//! takes. `start-thread` starts a thread. What came of it is the error that it answers with; without an
//! order, what came of the calls while it was loaded.

#[cfg(target_os = "linux")]
mod intruding {
    use std::ffi::{CString, c_long};
    use std::io;
    use std::sync::atomic::AtomicI64;
    use std::sync::atomic::Ordering::Relaxed;

    use strategy_api::{BoxError, Ctl, Input, Op, Strategy, export_strategy};

    #[derive(Default)]
    struct Intruding;

    impl Strategy for Intruding {
        const NAME: &'static str = "intruding";
        const NEEDS_TEXT: bool = true;

        fn diff(&self, input: &Input<'_>, _ctl: &Ctl<'_>) -> Result<Vec<Op>, BoxError> {
            let lines = input.new_text.iter().filter_map(|line| str::from_utf8(line).ok());
            let mut outcomes: Vec<String> =
                lines.filter_map(|line| order(line.trim_end())).collect();
            if outcomes.is_empty() {
                outcomes = WHILE_LOADED.iter().map(|one| named(one.load(Relaxed))).collect();
            }
            Err(outcomes.join("; ").into())
        }
    }

    fn order(line: &str) -> Option<String> {
        let (order, rest) = line.split_once(' ').unwrap_or((line, ""));
        let words = rest.split(' ').filter(|word| !word.is_empty());
        match order {
            "call:" => Some(named(made(words))),
            "sweep:" => {
                let skipped: Vec<c_long> = words.filter_map(|word| word.parse().ok()).collect();
                Some(swept(&skipped))
            }
            "start-thread" => Some(match std::thread::Builder::new().spawn(|| ()) {
                Ok(_) => "done".to_owned(),
                Err(error) => named(error.raw_os_error().map_or(0, |code| -i64::from(code))),
            }),
            #[cfg(target_arch = "x86_64")]
            "old-table" => Some(named(by_the_32_bit_table())),
            _ => None,
        }
    }

    /// The result of a call, as the kernel has it: an error is below zero.
    fn named(result: c_long) -> String {
        match i32::try_from(-result) {
            Ok(code @ 1..) => format!("errno {code}"),
            _ => "done".to_owned(),
        }
    }

    fn made<'a>(words: impl Iterator<Item = &'a str>) -> c_long {
        let mut places = Vec::new();
        let mut numbers = [0; 7];
        for (place, word) in numbers.iter_mut().zip(words) {
            let bytes = match word.split_once(':') {
                Some(("path", path)) => {
                    CString::new(path).unwrap_or_default().into_bytes_with_nul()
                }
                Some(("hex", digits)) => bytes_of(digits),
                _ if word == "zeros" => vec![0; 4096],
                _ => {
                    *place = word.parse().unwrap_or_default();
                    continue;
                }
            };
            *place = bytes.as_ptr() as c_long;
            // The bytes do not move with the value that owns them.
            places.push(bytes);
        }
        let [number, a, b, c, d, e, f] = numbers;
        call(number, [a, b, c, d, e, f])
    }

    fn bytes_of(digits: &str) -> Vec<u8> {
        let pairs = digits.as_bytes().chunks(2).filter_map(|pair| str::from_utf8(pair).ok());
        pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
    }

    fn call(number: c_long, [a, b, c, d, e, f]: [c_long; 6]) -> c_long {
        // SAFETY: none; a plugin that is hostile asks for none.
        let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
        if result == -1 {
            -io::Error::last_os_error().raw_os_error().map_or(0, c_long::from)
        } else {
            result
        }
    }

    /// The numbers of the calls that were not refused.
    fn swept(skipped: &[c_long]) -> String {
        /// More than any table has.
        const NUMBERS: c_long = 1024;
        /// Where the x32 table of x86-64 starts.
        const X32: c_long = 0x4000_0000;
        let all = (0..NUMBERS).filter(|number| !skipped.contains(number));
        let all = all.chain((0..NUMBERS).map(|number| X32 + number));
        let refused = -c_long::from(libc::EPERM);
        let made = all.filter(|number| call(*number, [-1; 6]) != refused);
        let made: Vec<String> = made.map(|number| number.to_string()).collect();
        format!("made: {}", made.join(" "))
    }

    /// getpid(2) by the way that 32-bit programs take, where 20 is its number; by the 64-bit table
    /// that would be writev(2), which is allowed.
    #[cfg(target_arch = "x86_64")]
    fn by_the_32_bit_table() -> c_long {
        let mut result: c_long = 20;
        // SAFETY: the call changes nothing but its result.
        unsafe { std::arch::asm!("int 0x80", inlateout("rax") result, options(nostack)) };
        result
    }

    static WHILE_LOADED: [AtomicI64; 3] = [const { AtomicI64::new(0) }; 3];

    /// Runs when the library is mapped, before anything about it can be asked: a socket, a process,
    /// and a process by the call whose arguments lie in memory.
    extern "C" fn on_load() {
        let zeros = [0_u64; 11];
        let calls = [
            (libc::SYS_socket, [libc::AF_INET.into(), libc::SOCK_DGRAM.into(), 0, 0, 0, 0]),
            (libc::SYS_clone, [libc::SIGCHLD.into(), 0, 0, 0, 0, 0]),
            (
                libc::SYS_clone3,
                [zeros.as_ptr() as c_long, size_of_val(&zeros) as c_long, 0, 0, 0, 0],
            ),
        ];
        for (at, (number, arguments)) in calls.into_iter().enumerate() {
            let result = call(number, arguments);
            if at > 0 && result == 0 {
                // SAFETY: it has no preconditions. This is the new process.
                unsafe { libc::_exit(0) };
            }
            WHILE_LOADED[at].store(result, Relaxed);
        }
    }

    #[used]
    #[unsafe(link_section = ".init_array")]
    static ON_LOAD: extern "C" fn() = on_load;

    export_strategy!(Intruding);
}
