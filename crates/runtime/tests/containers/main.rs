//! Real containers, started by the runtime from a root file system that holds nothing but this very binary.
//!
//! Needs root. Run without arguments it is the test run (an argument filters by name); as `/bin/probe` inside a
//! container it is a
//! handful of tiny commands.

mod cases;
mod container;
mod groups;
mod probe;

use std::panic::{AssertUnwindSafe, catch_unwind};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args[0].ends_with("probe") {
        std::process::exit(probe::main(&args[1..]));
    }
    let filter = args.iter().skip(1).find(|arg| !arg.starts_with('-'));
    if args.iter().any(|arg| arg == "--list") {
        cases::ALL.iter().for_each(|(name, _)| println!("{name}: test"));
        return;
    }
    let mut failed = 0;
    for (name, case) in cases::ALL.iter().filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter.as_str())))
    {
        let passed = catch_unwind(AssertUnwindSafe(case)).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += i32::from(!passed);
    }
    std::process::exit(i32::from(failed > 0));
}
