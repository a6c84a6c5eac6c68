//! ELF files that are nothing but headers, for tests of packaging.

/// Address at which the file is loaded, so that addresses differ from places in the file.
const BASE: u64 = 0x40_0000;
const HEADER: u64 = 64;
const SEGMENT: u64 = 56;

/// Builder of an executable with 64 bits and the low byte first. It cannot be executed.
pub struct Executable {
    machine: u16,
    interpreter: Option<String>,
    needed: Vec<String>,
}

impl Executable {
    /// Starts a static executable for a machine (`e_machine`): 62 is amd64, 183 arm64.
    pub fn new(machine: u16) -> Self {
        Self {
            machine,
            interpreter: None,
            needed: Vec::new(),
        }
    }

    /// Sets the path of the dynamic linker.
    pub fn interpreter(mut self, path: &str) -> Self {
        self.interpreter = Some(path.to_owned());
        self
    }

    /// Adds a shared library that the executable needs.
    pub fn needs(mut self, library: &str) -> Self {
        self.needed.push(library.to_owned());
        self
    }

    /// Returns the file.
    pub fn build(self) -> Vec<u8> {
        let count = 1 + u64::from(self.interpreter.is_some()) + u64::from(!self.needed.is_empty());
        // The strings follow the headers, and the dynamic section follows the strings.
        let strings_at = HEADER + count * SEGMENT;
        let mut strings = vec![0];
        let mut place = |text: &str| {
            let at = strings.len() as u64;
            strings.extend(text.bytes());
            strings.push(0);
            at
        };
        let interpreter = self.interpreter.as_deref().map(&mut place);
        let needed: Vec<u64> = self.needed.iter().map(|name| place(name)).collect();
        let dynamic_at = strings_at + strings.len() as u64;
        let mut dynamic: Vec<u64> = needed.iter().flat_map(|name| [1, *name]).collect();
        dynamic.extend([5, BASE + strings_at, 0, 0]);
        let end = dynamic_at + dynamic.len() as u64 * 8;

        let mut segments = vec![(1, 0, end)];
        if let (Some(at), Some(path)) = (interpreter, &self.interpreter) {
            segments.push((3, strings_at + at, path.len() as u64 + 1));
        }
        if !needed.is_empty() {
            segments.push((2, dynamic_at, dynamic.len() as u64 * 8));
        }
        let mut file = header(self.machine, count);
        for (kind, offset, length) in segments {
            file.extend(segment(kind, offset, length));
        }
        file.extend(strings);
        file.extend(dynamic.iter().flat_map(|word| word.to_le_bytes()));
        file
    }
}

fn header(machine: u16, segments: u64) -> Vec<u8> {
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    header.extend(3_u16.to_le_bytes());
    header.extend(machine.to_le_bytes());
    header.extend(1_u32.to_le_bytes());
    // Entry, segments, sections.
    header.extend([BASE, HEADER, 0].iter().flat_map(|word| word.to_le_bytes()));
    header.extend(0_u32.to_le_bytes());
    let sizes = [HEADER, SEGMENT, segments, 0, 0, 0];
    header.extend(
        sizes
            .iter()
            .flat_map(|size| size.to_le_bytes().into_iter().take(2)),
    );
    header
}

fn segment(kind: u32, offset: u64, length: u64) -> Vec<u8> {
    let mut segment = kind.to_le_bytes().to_vec();
    segment.extend(4_u32.to_le_bytes());
    let words = [offset, BASE + offset, BASE + offset, length, length, 8];
    segment.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    segment
}
