//! Classic BPF instructions, as far as system call filters need them.

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u16,
    /// Instructions to skip if the comparison holds.
    pub(super) jt: u8,
    /// Instructions to skip if it does not.
    pub(super) jf: u8,
    pub(super) k: u32,
}

pub(super) const LOAD: u16 = 0x20;
pub(super) const AND: u16 = 0x54;
pub(super) const JUMP: u16 = 0x05;
pub(super) const JUMP_EQ: u16 = 0x15;
pub(super) const JUMP_GT: u16 = 0x25;
pub(super) const JUMP_GE: u16 = 0x35;
pub(super) const RETURN: u16 = 0x06;

/// Offset of the system call number in the data a filter sees.
pub(super) const NUMBER: u32 = 0;
/// Offset of the architecture.
pub(super) const ARCH: u32 = 4;

/// Offset of the low half of argument `index`; the high half follows.
pub(super) const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

pub(super) fn statement(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

pub(super) fn branch(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

/// The instructions as the kernel takes them.
pub(super) fn encode(program: &[Instruction]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for instruction in program {
        bytes.extend_from_slice(&instruction.code.to_ne_bytes());
        bytes.extend_from_slice(&[instruction.jt, instruction.jf]);
        bytes.extend_from_slice(&instruction.k.to_ne_bytes());
    }
    bytes
}

/// What a filter returns for a system call. `None` if the program is malformed. For tests.
#[cfg(test)]
pub(super) fn interpret(program: &[u8], arch: u32, number: u32, args: &[u64; 6]) -> Option<u32> {
    let mut data = [0u8; 64];
    data[0..4].copy_from_slice(&number.to_ne_bytes());
    data[4..8].copy_from_slice(&arch.to_ne_bytes());
    for (index, arg) in args.iter().enumerate() {
        data[16 + 8 * index..24 + 8 * index].copy_from_slice(&arg.to_ne_bytes());
    }
    let mut at = 0usize;
    let mut accumulator = 0u32;
    loop {
        let bytes = program.get(at * 8..at * 8 + 8)?;
        let code = u16::from_ne_bytes([bytes[0], bytes[1]]);
        let k = u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        let pick = |holds: bool| usize::from(if holds { bytes[2] } else { bytes[3] });
        at += 1;
        match code {
            LOAD => {
                let word = data.get(k as usize..k as usize + 4)?;
                accumulator = u32::from_ne_bytes([word[0], word[1], word[2], word[3]]);
            }
            AND => accumulator &= k,
            JUMP => at += k as usize,
            JUMP_EQ => at += pick(accumulator == k),
            JUMP_GT => at += pick(accumulator > k),
            JUMP_GE => at += pick(accumulator >= k),
            RETURN => return Some(k),
            _ => return None,
        }
    }
}
