//! What the virtual machine boots into: busybox, an init script, one program, and modules.

use crate::command::Logged;
use crate::cpio::Archive;
use crate::module::Built;
use crate::progress::Step;
use crate::tools::BUSYBOX;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules of the kernel's own: devices for buses that need no hardware.
pub const OF_THE_KERNEL: &[&str] = &[
    "drivers/i2c/i2c-stub.ko",
    "drivers/usb/gadget/udc/udc-core.ko",
    "drivers/usb/gadget/udc/dummy_hcd.ko",
    "drivers/usb/gadget/libcomposite.ko",
    "drivers/usb/gadget/function/usb_f_ss_lb.ko",
    "drivers/usb/gadget/legacy/g_zero.ko",
];

/// Compiles the guest's program, statically linked: the guest has no libraries.
pub fn program(repository: &Path, dir: &Path, step: &mut Step) -> Result<PathBuf> {
    let program = dir.join("devscope-guest");
    Logged::new("rustc", &dir.join("guest.log"))
        .args([
            "--edition=2021",
            "--crate-name=devscope_guest",
            "--target=x86_64-unknown-linux-gnu",
        ])
        .args([
            "-Copt-level=2",
            "-Ctarget-feature=+crt-static",
            "-Cstrip=symbols",
            "-Dwarnings",
            "-o",
        ])
        .arg(&program)
        .arg("linux/guest/main.rs")
        .dir(repository)
        .run_quietly(step)
        .context("the guest's program did not compile")?;
    Ok(program)
}

/// Writes the guest's file system, with modules of ours, and some of the kernel that is built in `kernel`.
pub fn file_system(
    repository: &Path,
    program: &Path,
    modules: &Built,
    (kernel, of_the_kernel): (&Path, &[&str]),
    to: &Path,
) -> Result<()> {
    let read =
        |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let mut archive = Archive::default();
    for dir in ["bin", "dev", "lib", "proc", "sys", "tmp"] {
        archive.directory(dir);
    }
    // Where the kernel opens the first program's standard streams.
    archive.character_device("dev/console", 5, 1);
    archive.file("bin/busybox", 0o755, &read(Path::new(BUSYBOX))?);
    archive.symlink("bin/sh", "busybox");
    archive.file("bin/devscope-guest", 0o755, &read(program)?);
    archive.file("init", 0o755, &read(&repository.join("linux/guest/init"))?);
    for name in &modules.names {
        archive.file(
            &format!("lib/{name}.ko"),
            0o644,
            &read(&modules.file(name))?,
        );
    }
    for module in of_the_kernel.iter().map(Path::new) {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        // By the name that the kernel gives it.
        archive.file(
            &format!("lib/{}", name.replace('-', "_")),
            0o644,
            &read(&kernel.join(module))?,
        );
    }
    fs::write(to, archive.finish()).with_context(|| format!("cannot write {}", to.display()))
}
