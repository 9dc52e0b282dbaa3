//! Measures imports, exports and mounts: `measure <storage directory> <layer.tar>`.
//!
//! Prints milliseconds; compare with `tar x` and `sha256sum` of the same file on the same file system.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::Instant;

use storage::Storage;
use sys::root::Root;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, place, tar] = arguments.as_slice() else {
        return Err("usage: measure <storage directory> <layer.tar>".into());
    };
    let storage = Storage::open(Path::new(place))?;
    let started = Instant::now();
    let layer = storage.import(File::open(tar)?, None)?;
    report("import", started, 1);
    let started = Instant::now();
    storage.export_layer(&layer.chain_id, BufWriter::new(File::create("/dev/null")?))?;
    report("export_layer", started, 1);
    for depth in [1, 10, 127] {
        mounts(&storage, depth)?;
    }
    Ok(())
}

/// Mounts a container on this many layers, many times.
fn mounts(storage: &Storage, depth: usize) -> Result<(), Box<dyn Error>> {
    let mut top = None;
    for number in 0..depth {
        // Layers that differ, without files: zero blocks of different number.
        top = Some(storage.import(vec![0; 1024 + 512 * number].as_slice(), top.as_ref())?.chain_id);
    }
    let times = 200;
    let started = Instant::now();
    for number in 0..times {
        storage.create_snapshot(&format!("c{depth}-{number}"), top.as_ref())?;
    }
    report(&format!("create_snapshot, {depth} layers"), started, times);
    let mut held = Vec::new();
    let started = Instant::now();
    for number in 0..times {
        held.push(Root::from(storage.mount(&format!("c{depth}-{number}"), false)?));
    }
    report(&format!("mount, {depth} layers"), started, times);
    let started = Instant::now();
    drop(held);
    report(&format!("unmount, {depth} layers"), started, times);
    let started = Instant::now();
    for number in 0..times {
        storage.remove_snapshot(&format!("c{depth}-{number}"))?;
    }
    report(&format!("remove_snapshot, {depth} layers"), started, times);
    Ok(())
}

fn report(what: &str, started: Instant, times: u32) {
    println!("{what}: {:.3} ms", started.elapsed().as_secs_f64() * 1000.0 / f64::from(times));
}
