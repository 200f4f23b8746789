// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What programs do to the nodes of the `chardev` driver.

use super::driver;
use kernel::{
    bindings::{POLLERR, POLLHUP, POLLIN, POLLRDNORM, SEEK_SET},
    error::code,
    hosted::{edu::Edu, Loaded, Machine, OpenFlags, PciSlot, Protection, Sigbus},
    ioctl::_IO,
};

const ADVANCE: u32 = _IO('c' as u32, 2);

const READ_WRITE: Protection = Protection {
    write: true,
    private: false,
};
const READ: Protection = Protection {
    write: false,
    private: false,
};

/// What happens to the driver, told line by line to `say`.
pub fn life_and_death(machine: &Machine, say: fn(String)) {
    let (module, slot) = bind(machine);
    let control = machine.open("chardev0").expect("the control node opens");
    let data = machine.open("chardev0-data").expect("the data node opens");
    say("bound: /dev/chardev0 and /dev/chardev0-data".into());

    assert_eq!(data.write(b"hello"), Ok(5));
    let map = data.mmap(0, 1, READ_WRITE).expect("the page is mapped");
    assert_eq!(map.read(0), Ok(u32::from_ne_bytes(*b"hell")));
    map.write(0, u32::from_ne_bytes(*b"shel"))
        .expect("it is there");
    assert_eq!(data.lseek(0, SEEK_SET), Ok(0));
    let mut text = [0; 5];
    assert_eq!(data.read(&mut text), Ok(5));
    assert_eq!(&text, b"shelo");
    say("what is written through the file is read through the mapping, and the other way".into());

    assert_eq!(control.poll(), Ok(POLLIN | POLLRDNORM));
    assert_eq!(control.read(&mut [0; 4]), Ok(4));
    let poller = machine.spawn("poller", move || {
        (control.poll_until(POLLIN, None), control)
    });
    let child = map.fork();
    let toucher = machine.spawn("toucher", move || while child.read(0).is_ok() {});
    slot.unbind().expect("the device unbinds");
    say("unbound, with both nodes open, the page mapped by a program and its child".into());

    let (events, control) = poller.join();
    assert_eq!(events, Ok(POLLHUP | POLLERR));
    toucher.join();
    assert_eq!(map.read(0), Err(Sigbus));
    say("the poller came back with POLLHUP | POLLERR; touching the page is SIGBUS".into());
    assert_eq!(data.read(&mut text), Err(code::ENODEV));
    assert_eq!(data.lseek(0, SEEK_SET), Err(code::ENODEV));
    assert_eq!(data.fsync(), Err(code::ENODEV));
    assert_eq!(data.mmap(0, 1, READ).err(), Some(code::ENODEV));
    assert_eq!(control.ioctl(ADVANCE, 0), Err(code::ENODEV));
    say("read, lseek, fsync, mmap and ioctl on files still open: ENODEV".into());

    slot.bind().expect("the device binds again");
    let again = machine.open("chardev0-data").expect("the node opens again");
    let new = again.mmap(0, 1, READ).expect("the new page is mapped");
    assert_eq!(new.read(0), Ok(0));
    assert_eq!(map.read(0), Err(Sigbus));
    assert_eq!(data.reopen(OpenFlags::default()).err(), Some(code::ENODEV));
    say("bound again on the same number: a new page in a new file, the old ones stay dead".into());

    for map in [map, new] {
        map.unmap();
    }
    for file in [control, data, again] {
        file.close().expect("close() succeeds");
    }
    unload(module, slot);
    say("all files closed, module unloaded".into());
}

/// Loads the module and plugs the device in.
fn bind(machine: &Machine) -> (Loaded, PciSlot) {
    let module = machine.load(&driver::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    assert!(slot.is_bound());
    (module, slot)
}

fn unload(module: Loaded, slot: PciSlot) {
    slot.unplug();
    module.unload().expect("the module unloads");
}
