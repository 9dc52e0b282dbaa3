//! What runs inside a container: one small command a call.

use std::io::{Read, Write};

/// Runs `args`, prints what was asked for, returns the exit code; errors are printed as their number.
pub(crate) fn main(args: &[String]) -> i32 {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            println!("error {}", error.raw_os_error().unwrap_or(-1));
            1
        }
    }
}

fn run(args: &[&str]) -> std::io::Result<i32> {
    match args {
        ["exit", code] => return Ok(code.parse().unwrap_or(99)),
        ["cat", path] => print!("{}", std::fs::read_to_string(path)?),
        ["write", path, text] => std::fs::write(path, text)?,
        ["append", path, text] => std::fs::OpenOptions::new().append(true).open(path)?.write_all(text.as_bytes())?,
        ["ls", path] => {
            let mut names: Vec<_> = std::fs::read_dir(path)?.flatten().map(|entry| entry.file_name()).collect();
            names.sort();
            names.iter().for_each(|name| println!("{}", name.to_string_lossy()));
        }
        ["args", rest @ ..] => println!("{}", rest.join("|")),
        ["env"] => std::env::vars().for_each(|(name, value)| println!("{name}={value}")),
        ["pwd"] => println!("{}", std::env::current_dir()?.display()),
        ["id"] => {
            let groups: Vec<u32> = rustix::process::getgroups()?.iter().map(|gid| gid.as_raw()).collect();
            println!("{} {} {groups:?}", rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        }
        ["pid"] => println!("{}", std::process::id()),
        ["hostname"] => println!("{}", rustix::system::uname().nodename().to_string_lossy()),
        ["link", path] => println!("{}", std::fs::read_link(path)?.display()),
        ["fds"] => {
            let fds = std::fs::read_dir("/proc/self/fd")?.flatten();
            let mut numbers: Vec<u32> = fds.filter_map(|fd| fd.file_name().to_str()?.parse().ok()).collect();
            numbers.sort_unstable();
            // The last one is the directory that is being read.
            println!("{:?}", &numbers[..numbers.len() - 1]);
        }
        ["nofile"] => println!("{:?}", rustix::process::getrlimit(rustix::process::Resource::Nofile).current),
        ["tty"] => {
            let size = rustix::termios::tcgetwinsize(rustix::stdio::stdin())?;
            let name = rustix::termios::ttyname(rustix::stdio::stdin(), Vec::new())?;
            println!("{} {}x{}", name.to_string_lossy(), size.ws_row, size.ws_col);
            std::fs::OpenOptions::new().write(true).open("/dev/tty")?.write_all(b"controlling\n")?;
            std::fs::OpenOptions::new().write(true).open("/dev/console")?.write_all(b"console\n")?;
        }
        ["open", path] => drop(std::fs::OpenOptions::new().read(true).write(true).open(path)?),
        ["wait"] => drop(std::io::stdin().read_to_end(&mut Vec::new())?),
        ["forever"] => loop {
            std::thread::park();
        },
        ["eat", megabytes] => {
            let count: usize = megabytes.parse().unwrap_or(1);
            let memory = vec![1u8; count << 20];
            println!("{}", memory.iter().map(|byte| u64::from(*byte)).sum::<u64>());
        }
        other => {
            println!("unknown command {other:?}");
            return Ok(98);
        }
    }
    Ok(0)
}
