//! A profile: rules by name, in Docker's JSON format or made by the program, and their translation to verdicts by
//! number.

use serde::Deserialize;

use super::compile::{Condition, Operator, Table, Tables, Verdict};
use super::syscalls::Arch;
use crate::capabilities::{self, CapabilitySet};
use crate::error::{Error, Result};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const MASK: u32 = 0xffff_0000;

/// A profile in Docker's JSON format. Lists may be null.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Profile {
    default_action: String,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<String>>,
    arch_map: Option<Vec<ArchMap>>,
    syscalls: Option<Vec<Rule>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ArchMap {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

/// One rule for some calls.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Rule {
    name: String,
    names: Option<Vec<String>>,
    action: String,
    errno_ret: Option<u32>,
    args: Option<Vec<Argument>>,
    includes: Option<Filter>,
    excludes: Option<Filter>,
}

/// Condition on one argument.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Argument {
    index: u32,
    value: u64,
    value_two: u64,
    op: String,
}

/// When a rule counts.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

impl Argument {
    pub(super) fn equal(index: u32, value: u64) -> Self {
        Self { index, value, value_two: 0, op: "SCMP_CMP_EQ".to_owned() }
    }

    pub(super) fn masked(index: u32, mask: u64, value: u64) -> Self {
        Self { index, value: mask, value_two: value, op: "SCMP_CMP_MASKED_EQ".to_owned() }
    }

    fn condition(&self) -> Result<Condition> {
        if self.index > 5 {
            return Err(Error::Invalid(format!("seccomp: invalid argument index {}", self.index)));
        }
        let (operator, value) = match self.op.as_str() {
            "SCMP_CMP_EQ" => (Operator::Equal, self.value),
            "SCMP_CMP_NE" => (Operator::NotEqual, self.value),
            "SCMP_CMP_LT" => (Operator::Less, self.value),
            "SCMP_CMP_LE" => (Operator::LessOrEqual, self.value),
            "SCMP_CMP_GT" => (Operator::Greater, self.value),
            "SCMP_CMP_GE" => (Operator::GreaterOrEqual, self.value),
            "SCMP_CMP_MASKED_EQ" => (Operator::Masked(self.value), self.value_two),
            other => {
                return Err(Error::Invalid(format!("seccomp: string {other} is not a valid operator for seccomp")));
            }
        };
        Ok(Condition { argument: self.index, operator, value })
    }
}

impl Rule {
    pub(super) fn allow(names: &str) -> Self {
        let names = Some(names.split_whitespace().map(str::to_owned).collect());
        Self { names, action: "SCMP_ACT_ALLOW".to_owned(), ..Self::default() }
    }

    pub(super) fn error(names: &str, errno: u32) -> Self {
        Self { action: "SCMP_ACT_ERRNO".to_owned(), errno_ret: Some(errno), ..Self::allow(names) }
    }

    pub(super) fn when(self, args: Vec<Argument>) -> Self {
        Self { args: Some(args), ..self }
    }

    fn counts(&self, set: CapabilitySet) -> Result<bool> {
        let has = |name: &String| capabilities::parse(name).is_ok_and(|bit| set & bit != 0);
        let native = |arch: &String| arch == "amd64";
        if let Some(includes) = &self.includes {
            let wrong_arch =
                includes.arches.iter().flatten().next().is_some() && !includes.arches.iter().flatten().any(native);
            if wrong_arch || !includes.caps.iter().flatten().all(has) {
                return Ok(false);
            }
            if let Some(least) = &includes.min_kernel {
                return kernel_is_at_least(least);
            }
        }
        if let Some(excludes) = &self.excludes {
            if excludes.arches.iter().flatten().any(native) || excludes.caps.iter().flatten().any(has) {
                return Ok(false);
            }
            if let Some(least) = &excludes.min_kernel {
                return kernel_is_at_least(least).map(|newer| !newer);
            }
        }
        Ok(true)
    }

    /// The alternatives this rule stands for. Several conditions on one argument are alternatives, as runc has it.
    fn alternatives(&self) -> Result<Vec<Vec<Condition>>> {
        let conditions = self.args.iter().flatten().map(Argument::condition).collect::<Result<Vec<_>>>()?;
        let mut seen = [false; 6];
        let repeated =
            conditions.iter().any(|condition| std::mem::replace(&mut seen[condition.argument as usize], true));
        Ok(match (conditions.is_empty(), repeated) {
            (true, _) => Vec::new(),
            (_, true) => conditions.into_iter().map(|condition| vec![condition]).collect(),
            _ => vec![conditions],
        })
    }
}

impl Profile {
    /// A profile that refuses with EPERM what `rules` do not allow, on every architecture of this kernel.
    pub(super) fn with_defaults(rules: Vec<Rule>) -> Self {
        let archs = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];
        Self {
            default_action: "SCMP_ACT_ERRNO".to_owned(),
            default_errno_ret: Some(EPERM),
            architectures: Some(archs.map(str::to_owned).to_vec()),
            arch_map: None,
            syscalls: Some(rules),
        }
    }

    /// Reads Docker's JSON format.
    pub(super) fn parse(json: &str) -> Result<Self> {
        let profile: Self = serde_json::from_str(json)
            .map_err(|error| Error::Invalid(format!("Decoding seccomp profile failed: {error}")))?;
        let both = |list: bool, map: bool| list && map;
        let has_list = profile.architectures.as_ref().is_some_and(|list| !list.is_empty());
        let has_map = profile.arch_map.as_ref().is_some_and(|list| !list.is_empty());
        if both(has_list, has_map) {
            let words = "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'";
            return Err(Error::Invalid(words.to_owned()));
        }
        for rule in profile.syscalls.iter().flatten() {
            if both(!rule.name.is_empty(), rule.names.as_ref().is_some_and(|names| !names.is_empty())) {
                let words =
                    "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'";
                return Err(Error::Invalid(words.to_owned()));
            }
        }
        Ok(profile)
    }

    /// Verdicts for a process with `set`.
    pub(super) fn tables(&self, set: CapabilitySet) -> Result<Tables> {
        let mut tables = Tables::default();
        for arch in self.archs() {
            let table = Some(self.table(arch, set)?);
            match arch {
                Arch::X86_64 => tables.x86_64 = table,
                Arch::X32 => tables.x32 = table,
                Arch::X86 => tables.x86 = table,
            }
        }
        Ok(tables)
    }

    fn archs(&self) -> Vec<Arch> {
        let mapped = self
            .arch_map
            .iter()
            .flatten()
            .filter(|map| map.architecture == "SCMP_ARCH_X86_64")
            .flat_map(|map| std::iter::once(&map.architecture).chain(map.sub_architectures.iter().flatten()));
        let named = self.architectures.iter().flatten().chain(mapped);
        // The machine's own is always there.
        std::iter::once(Arch::X86_64).chain(named.filter_map(|name| Arch::parse(name))).collect()
    }

    fn table(&self, arch: Arch, set: CapabilitySet) -> Result<Table> {
        let default = action(&self.default_action, self.default_errno_ret)?;
        // Calls newer than the profile do not exist, so that programs fall back to older ones.
        let beyond = if default & MASK == ERRNO { ERRNO | ENOSYS } else { default };
        let mut table = Table { default, beyond, ..Table::default() };
        for rule in self.syscalls.iter().flatten() {
            let verdict = action(&rule.action, rule.errno_ret)?;
            let alternatives = rule.alternatives()?;
            let counts = rule.counts(set)?;
            let single = Some(&rule.name).filter(|name| !name.is_empty());
            for name in rule.names.iter().flatten().chain(single) {
                let Some(number) = arch.number(name) else { continue };
                let entry = table.verdicts.entry(number).or_insert_with(|| Verdict::plain(default));
                match (counts, alternatives.is_empty()) {
                    (false, _) => {}
                    (true, true) => *entry = Verdict::plain(verdict),
                    // A rule without conditions has decided already.
                    (true, false) if entry.alternatives.is_empty() && entry.otherwise != default => {}
                    (true, false) => {
                        entry.alternatives.extend(alternatives.iter().map(|conditions| (conditions.clone(), verdict)));
                    }
                }
            }
        }
        Ok(table)
    }
}

/// The kernel's value of an action's name.
fn action(name: &str, errno: Option<u32>) -> Result<u32> {
    let data = errno.unwrap_or(EPERM) & 0xffff;
    Ok(match name {
        "SCMP_ACT_ALLOW" => ALLOW,
        "SCMP_ACT_ERRNO" => ERRNO | data,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => 0,
        "SCMP_ACT_KILL_PROCESS" => 0x8000_0000,
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_TRACE" => 0x7ff0_0000 | data,
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        "SCMP_ACT_NOTIFY" => {
            return Err(Error::Unsupported(
                "seccomp: SCMP_ACT_NOTIFY needs a listener, which is not supported".to_owned(),
            ));
        }
        other => return Err(Error::Invalid(format!("seccomp: string {other:?} is not a valid action for seccomp"))),
    })
}

/// Whether this kernel is of version `least` (`5.10`) or newer.
fn kernel_is_at_least(least: &str) -> Result<bool> {
    let parse = |text: &str| {
        let mut parts = text.split(['.', '-', '+']).map_while(|part| part.parse::<u32>().ok());
        Some((parts.next()?, parts.next()?))
    };
    let wanted = parse(least).ok_or_else(|| {
        Error::Invalid(format!("invalid kernel version: {least:?}: expected a <kernel version>.<major version>"))
    })?;
    let running = rustix::system::uname().release().to_string_lossy().into_owned();
    Ok(parse(&running).is_some_and(|running| running >= wanted))
}
