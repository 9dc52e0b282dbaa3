//! Device rules as an eBPF program for v2, where no file takes them.
//!
//! The program gets the kind of device and access in one word, and the numbers. Rules are tried from the last to the
//! first, so
//! that a later rule wins; what no rule matches is refused.

use crate::devices::{DeviceKind, DeviceRule};

const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xbf;
const MOVE_VALUE: u8 = 0xb7;
const AND_VALUE: u8 = 0x54;
const SHIFT_RIGHT_VALUE: u8 = 0x74;
const JUMP_UNEQUAL: u8 = 0x5e;
const JUMP_UNEQUAL_VALUE: u8 = 0x56;
const JUMP_EQUAL_VALUE: u8 = 0x16;
const EXIT: u8 = 0x95;

/// Registers: the answer, the context (later scratch), kind, access, major, minor.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

const BLOCK: i32 = 1;
const CHAR: i32 = 2;
const MKNOD: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;

/// One instruction: operation, registers, offset, value.
type Instruction = (u8, u8, u8, i16, i32);

/// The program for `rules`, eight bytes an instruction.
pub(super) fn compile(rules: &[DeviceRule]) -> Vec<u8> {
    let mut program: Vec<Instruction> = vec![
        (LOAD_WORD, KIND, CONTEXT, 0, 0),
        (MOVE, ACCESS, KIND, 0, 0),
        (AND_VALUE, KIND, 0, 0, 0xffff),
        (SHIFT_RIGHT_VALUE, ACCESS, 0, 0, 16),
        (LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        (LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    let mut decided = false;
    for rule in rules.iter().rev() {
        let (instructions, always) = one(rule);
        program.extend(instructions);
        decided = always;
        if always {
            break;
        }
    }
    if !decided {
        program.extend([(MOVE_VALUE, ANSWER, 0, 0, 0), (EXIT, 0, 0, 0, 0)]);
    }
    program.iter().flat_map(encode).collect()
}

fn encode(&(operation, to, from, offset, value): &Instruction) -> [u8; 8] {
    let mut bytes = [operation, to | from << 4, 0, 0, 0, 0, 0, 0];
    bytes[2..4].copy_from_slice(&offset.to_ne_bytes());
    bytes[4..8].copy_from_slice(&value.to_ne_bytes());
    bytes
}

/// Instructions of one rule, and whether it matches everything. What follows it would never be reached then, which
/// the kernel refuses.
fn one(rule: &DeviceRule) -> (Vec<Instruction>, bool) {
    let mut tests: Vec<Instruction> = Vec::new();
    if let Some(kind) = rule.kind {
        let kind = if kind == DeviceKind::Block { BLOCK } else { CHAR };
        tests.push((JUMP_UNEQUAL_VALUE, KIND, 0, 0, kind));
    }
    let access = access(&rule.access);
    if access != READ | WRITE | MKNOD {
        tests.push((MOVE, CONTEXT, ACCESS, 0, 0));
        tests.push((AND_VALUE, CONTEXT, 0, 0, access));
        // All of what is wanted must be allowed; any of it being refused is enough.
        tests.push(match rule.allow {
            true => (JUMP_UNEQUAL, CONTEXT, ACCESS, 0, 0),
            false => (JUMP_EQUAL_VALUE, CONTEXT, 0, 0, 0),
        });
    }
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        if let Some(number) = number {
            tests.push((JUMP_UNEQUAL_VALUE, register, 0, 0, number as i32));
        }
    }
    let always = tests.is_empty();
    let end = tests.len() + 2;
    for (at, test) in tests.iter_mut().enumerate() {
        if matches!(test.0, JUMP_UNEQUAL | JUMP_UNEQUAL_VALUE | JUMP_EQUAL_VALUE) {
            test.3 = (end - at - 1) as i16;
        }
    }
    tests.extend([(MOVE_VALUE, ANSWER, 0, 0, i32::from(rule.allow)), (EXIT, 0, 0, 0, 0)]);
    (tests, always)
}

fn access(letters: &str) -> i32 {
    letters.bytes().fold(0, |all, letter| {
        all | match letter {
            b'r' => READ,
            b'w' => WRITE,
            b'm' => MKNOD,
            _ => 0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{allow_all, default_rules, parse_rule};

    /// What the program answers for a device and an access.
    fn run(program: &[u8], kind: i32, access: i32, major: i32, minor: i32) -> bool {
        let mut registers = [0i64; 11];
        let context = [kind | access << 16, major, minor];
        let mut at = 0usize;
        loop {
            let bytes = &program[at * 8..at * 8 + 8];
            let (to, from) = ((bytes[1] & 15) as usize, (bytes[1] >> 4) as usize);
            let offset = i16::from_ne_bytes([bytes[2], bytes[3]]);
            let value = i64::from(i32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]));
            at += 1;
            let jump = match bytes[0] {
                LOAD_WORD => {
                    registers[to] = i64::from(context[offset as usize / 4]);
                    false
                }
                MOVE => {
                    registers[to] = registers[from];
                    false
                }
                MOVE_VALUE => {
                    registers[to] = value;
                    false
                }
                AND_VALUE => {
                    registers[to] &= value;
                    false
                }
                SHIFT_RIGHT_VALUE => {
                    registers[to] >>= value;
                    false
                }
                JUMP_UNEQUAL => registers[to] != registers[from],
                JUMP_UNEQUAL_VALUE => registers[to] != value,
                JUMP_EQUAL_VALUE => registers[to] == value,
                EXIT => return registers[0] != 0,
                other => panic!("operation {other:#x}"),
            };
            if jump {
                at += offset as usize;
            }
        }
    }

    #[test]
    fn default_rules_let_null_in_and_disks_out() {
        let program = compile(&default_rules());
        assert!(run(&program, CHAR, READ | WRITE, 1, 3));
        assert!(run(&program, CHAR, READ, 136, 77));
        assert!(run(&program, BLOCK, MKNOD, 8, 0));
        assert!(!run(&program, BLOCK, READ, 8, 0));
        assert!(!run(&program, CHAR, READ, 10, 200));
        assert!(!run(&program, CHAR, READ | MKNOD, 10, 200));
    }

    #[test]
    fn later_rules_win() {
        let mut rules = default_rules();
        rules.push(parse_rule("b 8:* r").unwrap());
        let program = compile(&rules);
        assert!(run(&program, BLOCK, READ, 8, 1));
        assert!(!run(&program, BLOCK, READ | WRITE, 8, 1));
        rules.push(DeviceRule { allow: false, ..parse_rule("b 8:1 r").unwrap() });
        assert!(!run(&compile(&rules), BLOCK, READ, 8, 1));
        assert!(run(&compile(&rules), BLOCK, READ, 8, 2));
        assert!(run(&compile(&allow_all()), BLOCK, READ | WRITE | MKNOD, 1, 1));
        assert!(!run(&compile(&[]), CHAR, READ, 1, 3));
    }
}
