use std::io::Write;
use std::process::{Command, Stdio};

use super::bpf::interpret;
use super::syscalls::{Arch, X32_BIT, is_known};
use super::{Filter, default, default_profile, from_json};
use crate::capabilities::{ALL, DEFAULT, parse};

const X86_64: u32 = 0xc000_003e;
const X86: u32 = 0x4000_0003;
const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;

fn verdict(filter: &Filter, arch: Arch, name: &str, first: u64) -> u32 {
    let number = arch.number(name).unwrap_or_else(|| panic!("{name} is unknown"));
    let audit = if arch == Arch::X86 { X86 } else { X86_64 };
    interpret(&filter.program, audit, number, &[first, 0, 0, 0, 0, 0]).unwrap()
}

#[test]
fn default_profile_allows_and_refuses() {
    let filter = default_profile(DEFAULT);
    for arch in [Arch::X86_64, Arch::X32, Arch::X86] {
        assert_eq!(verdict(&filter, arch, "read", 0), ALLOW);
        assert_eq!(verdict(&filter, arch, "chroot", 0), ALLOW);
        assert_eq!(verdict(&filter, arch, "mount", 0), EPERM);
        assert_eq!(verdict(&filter, arch, "keyctl", 0), EPERM);
        assert_eq!(verdict(&filter, arch, "io_uring_setup", 0), EPERM);
        assert_eq!(verdict(&filter, arch, "clone3", 0), ENOSYS);
        assert_eq!(verdict(&filter, arch, "clone", 0x11), ALLOW);
        assert_eq!(verdict(&filter, arch, "clone", 0x1000_0000), EPERM);
        assert_eq!(verdict(&filter, arch, "personality", 0x8), ALLOW);
        assert_eq!(verdict(&filter, arch, "personality", 0x1), EPERM);
        assert_eq!(verdict(&filter, arch, "socket", 2), ALLOW);
        assert_eq!(verdict(&filter, arch, "socket", 40), EPERM);
        assert_eq!(verdict(&filter, arch, "socket", 38), EPERM);
        assert_eq!(verdict(&filter, arch, "socket", 1 << 33), EPERM);
    }
    assert_eq!(interpret(&filter.program, X86_64, 1000, &[0; 6]), Some(ENOSYS), "newer than the profile");
    assert_eq!(interpret(&filter.program, X86_64, X32_BIT | 59, &[0; 6]), Some(EPERM), "not an x32 call");
    assert_eq!(interpret(&filter.program, 0xc000_00b7, 63, &[0; 6]), Some(0), "a foreign architecture");
}

#[test]
fn capabilities_open_doors() {
    let admin = default_profile(DEFAULT | parse("SYS_ADMIN").unwrap());
    assert_eq!(verdict(&admin, Arch::X86_64, "mount", 0), ALLOW);
    assert_eq!(verdict(&admin, Arch::X86_64, "clone3", 0), ALLOW);
    assert_eq!(verdict(&admin, Arch::X86_64, "clone", 0x1000_0000), ALLOW);
    assert_eq!(verdict(&admin, Arch::X86_64, "reboot", 0), EPERM);
    assert_eq!(verdict(&default_profile(0), Arch::X86_64, "chroot", 0), EPERM);
    assert_eq!(verdict(&default_profile(ALL), Arch::X86_64, "reboot", 0), ALLOW);
}

#[test]
fn every_number_agrees_with_the_tables() {
    for set in [0, DEFAULT, ALL] {
        let filter = default_profile(set);
        let tables = default::profile(set).tables(set).unwrap();
        let cases = [(X86_64, 0, tables.x86_64), (X86_64, X32_BIT, tables.x32), (X86, 0, tables.x86)];
        for (audit, base, table) in cases {
            let table = table.unwrap();
            let last = *table.verdicts.keys().last().unwrap();
            for number in base..base + 1024 {
                let plain = match table.verdicts.get(&number) {
                    Some(verdict) if verdict.alternatives.is_empty() => verdict.otherwise,
                    Some(_) => continue,
                    None if number > last => table.beyond,
                    None => table.default,
                };
                assert_eq!(interpret(&filter.program, audit, number, &[0; 6]), Some(plain), "{number:#x}");
            }
        }
    }
}

#[test]
fn filter_is_small_and_cached_by_what_matters() {
    let filter = default_profile(DEFAULT);
    assert!(filter.program.len() / 8 < 500, "{} instructions", filter.program.len() / 8);
    assert_eq!(default_profile(DEFAULT | parse("CAP_CHOWN").unwrap()), filter);
}

#[test]
fn profiles_in_json() {
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":null}],
        "syscalls":[{"names":["mkdir","nonsense"],"action":"SCMP_ACT_ERRNO","errnoRet":5,"args":null},
        {"name":"chmod","action":"SCMP_ACT_ERRNO","args":[]},
        {"names":["kill"],"action":"SCMP_ACT_KILL_PROCESS","args":[{"index":1,"value":9,"op":"SCMP_CMP_GE"},{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]},
        {"names":["dup"],"action":"SCMP_ACT_LOG","args":[{"index":0,"value":4294967296,"op":"SCMP_CMP_LT"}],"includes":{"minKernel":"4.8","arches":["amd64"]}},
        {"names":["dup2"],"action":"SCMP_ACT_LOG","excludes":{"caps":["CAP_KILL"]}}]}"#;
    let filter = from_json(profile, DEFAULT).unwrap();
    let run = |name: &str, args: [u64; 2]| {
        let number = Arch::X86_64.number(name).unwrap();
        interpret(&filter.program, X86_64, number, &[args[0], args[1], 0, 0, 0, 0]).unwrap()
    };
    assert_eq!(run("mkdir", [0, 0]), 0x0005_0005);
    assert_eq!(run("chmod", [0, 0]), EPERM);
    assert_eq!(run("kill", [1, 9]), 0x8000_0000);
    assert_eq!(run("kill", [2, 9]), ALLOW);
    assert_eq!(run("kill", [1, 8]), ALLOW);
    assert_eq!(run("dup", [u64::from(u32::MAX), 0]), 0x7ffc_0000);
    assert_eq!(run("dup", [1 << 32, 0]), ALLOW);
    assert_eq!(run("dup2", [0, 0]), ALLOW);
    assert_eq!(interpret(&filter.program, X86, 1, &[0; 6]), Some(0), "i386 is not in the profile");
    for bad in ["", "[]x", r#"{"defaultAction":"NO"}"#, r#"{"architectures":["a"],"archMap":[{}]}"#] {
        assert!(from_json(bad, 0).is_err(), "{bad}");
    }
}

#[test]
fn every_name_of_the_default_profile_is_known() {
    let debug = format!("{:?}", default::profile(ALL));
    let names = debug.split('"').filter(|word| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    });
    assert!(names.clone().count() > 350);
    names.for_each(|name| assert!(is_known(name), "{name}"));
}

#[test]
fn filters_travel_as_text() {
    let filter = default_profile(0);
    let text = serde_json::to_string(&filter).unwrap();
    assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter);
}

/// Builds the same profile with libseccomp and prints its program as hexadecimal.
const EXPORT: &str = r#"
import ctypes, os, sys
lib = ctypes.CDLL("libseccomp.so.2")
lib.seccomp_init.restype = ctypes.c_void_p
class Cmp(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]
ctx = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(0x00050001)))
for arch in (0x40000003, 0x4000003e):
    assert lib.seccomp_arch_add(ctx, ctypes.c_uint32(arch)) == 0
for line in sys.stdin:
    action, name, *rest = line.split()
    number = lib.seccomp_syscall_resolve_name(name.encode())
    if number == -1:
        print("unknown", name)
        continue
    filters = (Cmp * 1)()
    if rest:
        filters[0] = Cmp(int(rest[0]), int(rest[1]), int(rest[2]), int(rest[3]))
    result = lib.seccomp_rule_add_array(ctx, ctypes.c_uint32(int(action, 16)), number, 1 if rest else 0, filters)
    if result not in (0, -17):
        print("refused", name, result)
sys.stdout.flush()
fd = os.memfd_create("bpf")
assert lib.seccomp_export_bpf(ctx, fd) == 0
os.lseek(fd, 0, 0)
print("program", os.read(fd, 1 << 20).hex())
"#;

/// The rules as libseccomp takes them: action, name, and argument, comparison (4 is equal, 7 is masked) and values.
fn rules_for_libseccomp() -> String {
    let debug_names = |set| {
        let tables = default::profile(set).tables(set).unwrap();
        (tables.x86_64.unwrap(), tables.x86.unwrap())
    };
    let (native, compat) = debug_names(DEFAULT);
    let mut lines = String::new();
    for line in include_str!("syscalls.txt").lines().skip(1) {
        let name = line.split(' ').next().unwrap();
        let found = Arch::X86_64.number(name).and_then(|number| native.verdicts.get(&number));
        let found = found.or_else(|| Arch::X86.number(name).and_then(|number| compat.verdicts.get(&number)));
        let Some(verdict) = found else { continue };
        for (conditions, action) in &verdict.alternatives {
            let [condition] = conditions.as_slice() else { panic!("one condition each") };
            let (op, a, b) = match condition.operator {
                super::compile::Operator::Equal => (4, condition.value, 0),
                super::compile::Operator::Masked(mask) => (7, mask, condition.value),
                other => panic!("unexpected {other:?}"),
            };
            lines += &format!("{action:x} {name} {} {op} {a} {b}\n", condition.argument);
        }
        if verdict.otherwise != EPERM {
            lines += &format!("{:x} {name}\n", verdict.otherwise);
        }
    }
    lines
}

#[test]
fn agrees_with_libseccomp() {
    let mut python = Command::new("python3")
        .args(["-c", EXPORT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed to talk to libseccomp.so.2 (Debian: python3, libseccomp2)");
    python.stdin.take().unwrap().write_all(rules_for_libseccomp().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let hex = text.lines().find_map(|line| line.strip_prefix("program ")).expect("a program (Debian: libseccomp2)");
    let theirs: Vec<u8> =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    let unknown: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("unknown ")).collect();
    assert!(text.lines().all(|line| !line.starts_with("refused")), "{text}");
    let ours = default_profile(DEFAULT);
    let newer: Vec<u32> = unknown.iter().filter_map(|name| Arch::X86_64.number(name)).collect();
    let values = [0, 1, 2, 8, 12, 38, 40, 45, 46, 0x20000, 0x20008, 0x1000_0000, 0xffff_ffff, 1 << 32, u64::MAX];
    let mut compared = 0;
    for (audit, base) in [(X86_64, 0), (X86_64, X32_BIT), (X86, 0)] {
        // Calls libseccomp does not know yet differ by design.
        for number in (0..=450).chain(512..=547).filter(|number| !newer.contains(number)) {
            if base == 0 && number > 450 {
                continue;
            }
            // libseccomp looks at the low half alone on 32-bit architectures.
            for value in values.iter().filter(|value| (audit, base) == (X86_64, 0) || **value <= u64::from(u32::MAX)) {
                let args = [*value, 0, 0, 0, 0, 0];
                let expected = interpret_foreign(&theirs, audit, base | number, &args);
                let got = interpret(&ours.program, audit, base | number, &args).unwrap();
                assert_eq!(got, expected, "arch {audit:#x} call {:#x} argument {value:#x}", base | number);
                compared += 1;
            }
        }
    }
    assert!(compared > 15_000, "{compared}");
}

/// libseccomp's programs use no instruction ours do not.
fn interpret_foreign(program: &[u8], audit: u32, number: u32, args: &[u64; 6]) -> u32 {
    interpret(program, audit, number, args).expect("a well-formed program")
}
