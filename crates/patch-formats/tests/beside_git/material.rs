//! What trees and patches are made of: random numbers, names and contents.

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("it is less than a usize")
    }

    pub(crate) fn pick<'p, T>(&mut self, of: &'p [T]) -> &'p T {
        &of[self.below(of.len())]
    }
}

pub(crate) const NAMES: [&str; 9] =
    ["f", "d/f", "d/e/f", "a/f", "b/f", "name with blanks", "n\u{e4}me", "g", "d/g.orig"];

/// Contents of lines that repeat, with every kind of end.
pub(crate) fn content(random: &mut Random) -> Vec<u8> {
    const LINES: [&[u8]; 12] = [
        b"a\n",
        b"b\n",
        b"\n",
        b"c\r\n",
        b"}\n",
        b"-- x\n",
        b"++ y\n",
        b" z\n",
        b"@@ -1 +1 @@\n",
        b"\xff\xfe\n",
        b"line\n",
        b"    return\n",
    ];
    let mut content = Vec::new();
    for number in 0..random.below(24) {
        match random.below(3) {
            0 => content.extend_from_slice(LINES[random.below(LINES.len())]),
            _ => content.extend_from_slice(format!("line {number}\n").as_bytes()),
        }
    }
    if random.below(6) == 0 {
        content.extend_from_slice(b"no end");
    }
    content
}

/// One of the lines that begin like this.
pub(crate) fn line_of(lines: &[Vec<u8>], heads: &[&[u8]], random: &mut Random) -> Option<usize> {
    let found: Vec<usize> = (0..lines.len())
        .filter(|at| heads.iter().any(|head| lines[*at].starts_with(head)))
        .collect();
    (!found.is_empty()).then(|| *random.pick(&found))
}
