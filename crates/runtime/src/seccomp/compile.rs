//! From verdicts by system call number to a program: a binary search over ranges of numbers with the same verdict.
//!
//! The kernel runs a new filter once for every system call number to learn which are always allowed, so the depth of
//! the
//! search is what installing costs.

use std::collections::BTreeMap;

use super::bpf::{
    AND, ARCH, Instruction, JUMP, JUMP_EQ, JUMP_GE, JUMP_GT, LOAD, NUMBER, RETURN, argument, branch, statement,
};
use super::syscalls::X32_BIT;

const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const AUDIT_ARCH_X86: u32 = 0x4000_0003;
/// Kills the calling thread: what calls of an architecture that is not in the profile get.
pub(super) const KILL_THREAD: u32 = 0;

/// Comparison of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) argument: u32,
    pub(super) operator: Operator,
    pub(super) value: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Equal after this mask.
    Masked(u64),
}

/// What happens to a call: the first alternative whose conditions all hold, else `otherwise`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) alternatives: Vec<(Vec<Condition>, u32)>,
    pub(super) otherwise: u32,
}

impl Verdict {
    pub(super) fn plain(action: u32) -> Self {
        Self { alternatives: Vec::new(), otherwise: action }
    }
}

/// Verdicts of one architecture.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) verdicts: BTreeMap<u32, Verdict>,
    /// For numbers in between that are not named.
    pub(super) default: u32,
    /// For numbers beyond the last one named.
    pub(super) beyond: u32,
}

/// The tables of a filter; an architecture without one is refused.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    pub(super) x86_64: Option<Table>,
    pub(super) x32: Option<Table>,
    pub(super) x86: Option<Table>,
}

/// Assembles the program. `None` if a single verdict is too large to be jumped over.
pub(super) fn compile(tables: &Tables) -> Option<Vec<Instruction>> {
    let native =
        ranges(tables.x86_64.as_ref(), 0).into_iter().chain(ranges(tables.x32.as_ref(), X32_BIT)).collect::<Vec<_>>();
    let native = search(&merge(native))?;
    let compat = search(&merge(ranges(tables.x86.as_ref(), 0)))?;
    let mut program = vec![
        statement(LOAD, ARCH),
        branch(JUMP_EQ, AUDIT_ARCH_X86_64, 3, 0),
        branch(JUMP_EQ, AUDIT_ARCH_X86, 0, 1),
        // Over the return, the native half and its load.
        statement(JUMP, native.len() as u32 + 2),
        statement(RETURN, KILL_THREAD),
        statement(LOAD, NUMBER),
    ];
    program.extend(native);
    program.push(statement(LOAD, NUMBER));
    program.extend(compat);
    Some(program)
}

type Range = (u32, Verdict);

/// Verdicts as ranges, each from its start to the next one's, beginning at `first`.
fn ranges(table: Option<&Table>, first: u32) -> Vec<Range> {
    let Some(table) = table else { return vec![(first, Verdict::plain(KILL_THREAD))] };
    let mut list = Vec::new();
    let mut next = first;
    for (number, verdict) in &table.verdicts {
        if *number > next {
            list.push((next, Verdict::plain(table.default)));
        }
        list.push((*number, verdict.clone()));
        next = number.saturating_add(1);
    }
    list.push((next, Verdict::plain(table.beyond)));
    list
}

/// Joins neighbours with the same verdict.
fn merge(mut list: Vec<Range>) -> Vec<Range> {
    list.dedup_by(|later, earlier| later.1 == earlier.1);
    list
}

/// A program under construction, from its end to its start, so that every jump knows how far its target is. A place is
/// the number of instructions behind it.
#[derive(Default)]
struct Assembler {
    reversed: Vec<Instruction>,
    /// Returns that can be shared: action and place.
    returns: Vec<(u32, usize)>,
}

/// The furthest a conditional jump is made to go; the kernel's limit is 255.
const FAR: usize = 250;

impl Assembler {
    fn push(&mut self, instruction: Instruction) -> usize {
        self.reversed.push(instruction);
        self.reversed.len() - 1
    }

    /// The place itself, or that of a long jump to it.
    fn near(&mut self, place: usize) -> usize {
        let distance = self.reversed.len() - place - 1;
        if distance < FAR { place } else { self.push(statement(JUMP, distance as u32)) }
    }

    /// Where `verdict` is decided.
    fn verdict(&mut self, verdict: &Verdict) -> Option<usize> {
        if !verdict.alternatives.is_empty() {
            return decide(verdict)?.into_iter().rev().map(|instruction| self.push(instruction)).last();
        }
        let action = verdict.otherwise;
        let shared = self.returns.iter().rev().find(|(known, _)| *known == action).map(|(_, place)| *place);
        if let Some(place) = shared.filter(|place| self.reversed.len() - place < FAR) {
            return Some(place);
        }
        let place = self.push(statement(RETURN, action));
        self.returns.push((action, place));
        Some(place)
    }

    /// Where the search through `list` begins.
    fn search(&mut self, list: &[Range]) -> Option<usize> {
        if let [(_, verdict)] = list {
            return self.verdict(verdict);
        }
        let (lower, upper) = list.split_at(list.len() / 2);
        let start = upper.first()?.0;
        let upper = self.search(upper)?;
        let lower = self.search(lower)?;
        let upper = self.near(upper);
        let lower = self.near(lower);
        let offset = |place: usize| u8::try_from(self.reversed.len() - place - 1).ok();
        let (jt, jf) = (offset(upper)?, offset(lower)?);
        Some(self.push(branch(JUMP_GE, start, jt, jf)))
    }
}

/// The search through `list`, to be entered at its first instruction.
fn search(list: &[Range]) -> Option<Vec<Instruction>> {
    let mut assembler = Assembler::default();
    let start = assembler.search(list)?;
    // A search that is a single shared return begins where it was made.
    debug_assert_eq!(start + 1, assembler.reversed.len());
    assembler.reversed.reverse();
    Some(assembler.reversed)
}

/// Where a comparison goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The next instruction.
    Next,
    /// Behind this condition: it holds.
    Pass,
    /// The next alternative.
    Fail,
}

fn decide(verdict: &Verdict) -> Option<Vec<Instruction>> {
    let mut program = Vec::new();
    let mut rest = verdict.alternatives.as_slice();
    while let Some((conditions, action)) = rest.first() {
        let values = equal_values(rest);
        if values.len() > 1 {
            program.extend(one_of(&conditions[0], &values, *action)?);
            rest = &rest[values.len()..];
        } else {
            program.extend(all_of(conditions, *action)?);
            rest = &rest[1..];
        }
    }
    program.push(statement(RETURN, verdict.otherwise));
    Some(program)
}

/// Low halves of the leading alternatives that compare the same argument with a value and agree on all else.
fn equal_values(alternatives: &[(Vec<Condition>, u32)]) -> Vec<u32> {
    let key = |(conditions, action): &(Vec<Condition>, u32)| match conditions.as_slice() {
        [Condition { argument, operator: Operator::Equal, value }] => Some((*argument, value >> 32, *action)),
        _ => None,
    };
    let Some(first) = alternatives.first().and_then(key) else { return Vec::new() };
    let same = alternatives.iter().take_while(|alternative| key(alternative) == Some(first));
    // Few enough for every jump to reach the end.
    same.take(200).map(|(conditions, _)| conditions[0].value as u32).collect()
}

/// Returns `action` if the argument is one of `values` (with the high half of `condition`'s).
fn one_of(condition: &Condition, values: &[u32], action: u32) -> Option<Vec<Instruction>> {
    let count = u8::try_from(values.len()).ok()?;
    let low = argument(condition.argument);
    let high = (condition.value >> 32) as u32;
    let mut program =
        vec![statement(LOAD, low + 4), branch(JUMP_EQ, high, 0, count.checked_add(2)?), statement(LOAD, low)];
    for (left, value) in (1..=count).rev().zip(values) {
        // The last one goes on right behind the return.
        program.push(branch(JUMP_EQ, *value, left - 1, u8::from(left == 1)));
    }
    program.push(statement(RETURN, action));
    Some(program)
}

/// Returns `action` if all `conditions` hold.
fn all_of(conditions: &[Condition], action: u32) -> Option<Vec<Instruction>> {
    let parts: Vec<_> = conditions.iter().map(compare).collect();
    let total: usize = parts.iter().map(Vec::len).sum();
    let mut program = Vec::with_capacity(total + 1);
    let mut at = 0;
    for part in parts {
        let end = at + part.len();
        for (instruction, jumps) in part {
            at += 1;
            let offset = |target| {
                u8::try_from(match target {
                    Target::Next => 0,
                    Target::Pass => end - at,
                    // Over the rest of this alternative and its return.
                    Target::Fail => total - at + 1,
                })
                .ok()
            };
            program.push(match jumps {
                None => instruction,
                Some((holds, fails)) => Instruction { jt: offset(holds)?, jf: offset(fails)?, ..instruction },
            });
        }
    }
    program.push(statement(RETURN, action));
    Some(program)
}

type Comparison = Vec<(Instruction, Option<(Target, Target)>)>;

/// Compares a 64-bit argument by its halves, the high one first.
fn compare(condition: &Condition) -> Comparison {
    use Target::{Fail, Next, Pass};
    let low = condition.value as u32;
    let high = (condition.value >> 32) as u32;
    let load_low = (statement(LOAD, argument(condition.argument)), None);
    let load_high = (statement(LOAD, argument(condition.argument) + 4), None);
    let test = |code, value, holds, fails| (branch(code, value, 0, 0), Some((holds, fails)));
    match condition.operator {
        Operator::Equal => {
            vec![load_high, test(JUMP_EQ, high, Next, Fail), load_low, test(JUMP_EQ, low, Next, Fail)]
        }
        Operator::NotEqual => {
            vec![load_high, test(JUMP_EQ, high, Next, Pass), load_low, test(JUMP_EQ, low, Fail, Next)]
        }
        Operator::Masked(mask) => vec![
            load_high,
            (statement(AND, (mask >> 32) as u32), None),
            test(JUMP_EQ, high, Next, Fail),
            load_low,
            (statement(AND, mask as u32), None),
            test(JUMP_EQ, low, Next, Fail),
        ],
        Operator::Greater | Operator::GreaterOrEqual => {
            let last = if condition.operator == Operator::Greater { JUMP_GT } else { JUMP_GE };
            vec![
                load_high,
                test(JUMP_GT, high, Pass, Next),
                test(JUMP_EQ, high, Next, Fail),
                load_low,
                test(last, low, Next, Fail),
            ]
        }
        Operator::Less | Operator::LessOrEqual => {
            let last = if condition.operator == Operator::Less { JUMP_GE } else { JUMP_GT };
            vec![
                load_high,
                test(JUMP_GT, high, Fail, Next),
                test(JUMP_EQ, high, Next, Pass),
                load_low,
                test(last, low, Fail, Next),
            ]
        }
    }
}
