// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Device nodes with numbers of their own, and what programs map through them, while devices come and go:
//! programs use the nodes of `examples/chardev`.

use kernel::{
    bindings::{POLLIN, POLLRDNORM, SEEK_CUR, SEEK_END, SEEK_SET},
    error::code,
    hosted::{edu::Edu, Loaded, Machine, OpenFlags, PciSlot, Protection, Sigbus},
    ioctl::{_IO, _IOR},
};

#[path = "../../examples/chardev/driver.rs"]
mod driver;

const GENERATION: u32 = _IOR::<u32>('c' as u32, 1);
const ADVANCE: u32 = _IO('c' as u32, 2);
const NAP: u32 = _IO('c' as u32, 3);
const SYNCS: u32 = _IO('c' as u32, 4);
const ECHO: u32 = _IO('c' as u32, 5);

const PAGE: usize = 4096;
const READ_WRITE: Protection = Protection {
    write: true,
    private: false,
};
const READ: Protection = Protection {
    write: false,
    private: false,
};

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

/// What programs expect of files: short reads at the end, errors for bad memory, positions.
pub fn files_behave_as_programs_expect(machine: &Machine) {
    let (module, slot) = bind(machine);
    let control = machine.open("chardev0").expect("the control node opens");
    let data = machine.open("chardev0-data").expect("the data node opens");

    assert_eq!(data.lseek(-3, SEEK_END), Ok(PAGE as i64 - 3));
    assert_eq!(data.write(b"abcdef"), Ok(3));
    assert_eq!(data.write(b"def"), Err(code::ENOSPC));
    assert_eq!(data.lseek(-5, SEEK_CUR), Ok(PAGE as i64 - 5));
    let mut text = [1; 8];
    assert_eq!(data.read(&mut text), Ok(5));
    assert_eq!(&text, b"\0\0abc\x01\x01\x01");
    assert_eq!(data.read(&mut text), Ok(0));
    assert_eq!(data.lseek(1, SEEK_END), Err(code::EINVAL));
    assert_eq!(data.lseek(0, SEEK_SET), Ok(0));
    assert_eq!(data.read_to_nowhere(), Err(code::EFAULT));
    assert_eq!(data.fsync(), Ok(()));
    assert_eq!(control.ioctl(SYNCS, 0), Ok(1));
    assert_eq!(data.ioctl(SYNCS, 0), Err(code::ENOTTY));
    assert_eq!(data.read_nowait(&mut text).err(), Some(code::EOPNOTSUPP));

    assert_eq!(control.lseek(0, SEEK_SET), Err(code::ESPIPE));
    assert_eq!(control.fsync(), Err(code::EINVAL));
    assert_eq!(control.mmap(0, 1, READ).err(), Some(code::ENODEV));
    let mut generation = [0; 4];
    assert_eq!(control.ioctl_buffer(GENERATION, &mut generation), Ok(0));
    assert_eq!(u32::from_ne_bytes(generation), 1);
    assert_eq!(control.ioctl(GENERATION, 8), Err(code::EFAULT));
    assert_eq!(control.ioctl(ECHO, usize::MAX), Ok(0x7fff_ffff));
    assert_eq!(control.compat_ioctl(ECHO, 41), Ok(42));
    assert_eq!(control.compat_ioctl(SYNCS, 0), Ok(1));
    assert_eq!(data.compat_ioctl(SYNCS, 0), Err(code::ENOTTY));

    assert_eq!(control.read_nowait(&mut generation), Ok(4));
    assert_eq!(control.read_nowait(&mut generation), Err(code::EAGAIN));
    let nonblock = OpenFlags { nonblock: true };
    let impatient = control.reopen(nonblock).expect("the node opens again");
    assert_eq!(impatient.read(&mut generation), Ok(4));
    assert_eq!(impatient.read(&mut generation), Err(code::EAGAIN));
    assert_eq!(impatient.poll(), Ok(0));
    assert_eq!(control.ioctl(ADVANCE, 0), Ok(0));
    assert_eq!(impatient.poll(), Ok(POLLIN | POLLRDNORM));
    assert_eq!(impatient.read(&mut generation), Ok(4));
    assert_eq!(impatient.read(&mut generation), Err(code::EAGAIN));

    for file in [control, data, impatient] {
        file.close().expect("close() succeeds");
    }
    unload(module, slot);
}

/// A read that waits is ended by a signal.
pub fn a_signal_ends_a_read_of_a_cdev(machine: &Machine) {
    let (module, slot) = bind(machine);
    let control = machine.open("chardev0").expect("the control node opens");
    let reader = machine.spawn("reader", move || {
        let result = control.read(&mut [0; 4]);
        assert_eq!(result, Err(code::EINTR));
        control.close().expect("close() succeeds");
    });
    reader.interrupt();
    machine.settle();
    while !reader.has_ended() {
        reader.interrupt();
        machine.settle();
    }
    unload(module, slot);
}

/// What can be mapped, and what cannot.
pub fn mappings_are_of_what_the_driver_says(machine: &Machine) {
    let (module, slot) = bind(machine);
    let data = machine.open("chardev0-data").expect("the data node opens");
    let private = Protection {
        write: true,
        private: true,
    };
    assert_eq!(data.mmap(0, 1, private).err(), Some(code::EINVAL));
    assert_eq!(data.mmap(0, 2, READ).err(), Some(code::EINVAL));
    assert_eq!(data.mmap(1, 1, READ).err(), Some(code::EINVAL));
    assert_eq!(data.mmap(0x100, 1, READ_WRITE).err(), Some(code::EACCES));
    assert_eq!(data.mmap(0x100, 1 << 20, READ).err(), Some(code::EINVAL));
    assert_eq!(data.mmap(usize::MAX, 1, READ).err(), Some(code::EINVAL));
    let registers = data.mmap(0x100, 4, READ).expect("registers are mapped");
    assert_eq!(registers.make_writable(), Err(code::EACCES));
    assert_eq!(registers.read(0).map(|id| id & 0xff), Ok(0xed));
    let rest = registers.split_off(1);
    assert_eq!(rest.pages(), 3);
    let page = data.mmap(0, 1, READ).expect("the page is mapped");
    page.make_writable().expect("it may be written to");
    page.write(4, 7).expect("it is there");
    // A mapping keeps its file, so the module stays.
    data.close().expect("close() succeeds");
    slot.unbind().expect("the device unbinds");
    assert_eq!(module.unload(), Err(code::EAGAIN));
    assert_eq!(page.read(4), Err(Sigbus));
    assert_eq!(rest.read(0), Err(Sigbus));
    page.unmap();
    rest.unmap();
    unload(module, slot);
}

/// Two devices with two nodes each come and go, while programs open, use and map whatever is there.
pub fn devices_come_and_go(machine: &Machine) {
    let module = machine.load(&driver::MODULE).expect("the module loads");
    let first = machine.plug_pci(Edu::new());
    let second = machine.plug_pci(Edu::new());
    assert!(first.is_bound() && second.is_bound());
    let m = *machine;
    let programs: Vec<_> = ["chardev0-data", "chardev1-data"]
        .into_iter()
        .map(|name| {
            machine.spawn("program", move || {
                for _ in 0..2 {
                    let Ok(file) = m.open(name) else { continue };
                    // Its own device's page, or nothing: never that of who has the number now.
                    if let Ok(map) = file.mmap(0, 1, READ_WRITE) {
                        if map.write(0, 1).is_ok() {
                            let read = map.read(0);
                            assert!(read == Ok(1) || read == Err(Sigbus), "{read:?}");
                        }
                        if map.read(0).is_err() {
                            assert_eq!(file.read(&mut [0; 1]), Err(code::ENODEV));
                        }
                    }
                    file.close().expect("close() succeeds");
                }
            })
        })
        .collect();
    first.unbind().expect("the first device unbinds");
    second.unbind().expect("the second device unbinds");
    // The numbers change hands.
    second.bind().expect("the second device binds");
    first.bind().expect("the first device binds");
    for program in programs {
        program.join();
    }
    for slot in [first, second] {
        slot.unplug();
    }
    module.unload().expect("the module unloads");
}

/// A file is opened by way of one that is open, while its device goes and the number is used again.
pub fn a_number_is_used_again(machine: &Machine) {
    let (module, slot) = bind(machine);
    let old = machine.open("chardev0").expect("the node opens");
    let opener = machine.spawn("opener", move || {
        for _ in 0..3 {
            if let Ok(file) = old.reopen(OpenFlags::default()) {
                // Only while it is the same device.
                let _ = file.ioctl(ADVANCE, 0);
                file.close().expect("close() succeeds");
            }
        }
        old
    });
    slot.unbind().expect("the device unbinds");
    slot.bind().expect("the device binds again");
    let new = machine.open("chardev0").expect("the node opens again");
    let old = opener.join();
    assert_eq!(old.ioctl(ADVANCE, 0), Err(code::ENODEV));
    assert_eq!(old.reopen(OpenFlags::default()).err(), Some(code::ENODEV));
    let mut generation = [0; 4];
    assert_eq!(new.ioctl_buffer(GENERATION, &mut generation), Ok(0));
    assert_eq!(u32::from_ne_bytes(generation), 0);
    for file in [old, new] {
        file.close().expect("close() succeeds");
    }
    unload(module, slot);
}

/// Programs map, touch, copy and unmap the page while the device goes.
pub fn faults_race_with_unbind(machine: &Machine) {
    let (module, slot) = bind(machine);
    let data = machine.open("chardev0-data").expect("the data node opens");
    let map = data.mmap(0, 1, READ_WRITE).expect("the page is mapped");
    let toucher = machine.spawn("toucher", move || {
        let child = map.fork();
        let _ = map.write(0, 1);
        let grandchild = child.fork();
        let _ = child.read(0);
        let _ = grandchild.read(0);
        (map, child, grandchild)
    });
    let mapper = machine.spawn("mapper", move || {
        let map = data.mmap(0x100, 2, READ);
        if let Ok(map) = &map {
            let _ = map.read(0);
        }
        (data, map)
    });
    slot.unbind().expect("the device unbinds");
    let (map, child, grandchild) = toucher.join();
    let (data, registers) = mapper.join();
    for map in [&map, &child, &grandchild] {
        assert_eq!(map.read(0), Err(Sigbus));
    }
    if let Ok(registers) = &registers {
        assert_eq!(registers.read(0), Err(Sigbus));
    }
    drop((map, child, grandchild, registers));
    data.close().expect("close() succeeds");
    unload(module, slot);
}

/// An operation does not come back for a long time. Returns whether unbinding said so.
pub fn an_operation_takes_its_time(machine: &Machine) -> bool {
    let (module, slot) = bind(machine);
    let control = machine.open("chardev0").expect("the control node opens");
    let napper = machine.spawn("napper", move || {
        let napped = control.ioctl(NAP, 10_000);
        assert!(matches!(napped, Ok(0) | Err(code::ENODEV)), "{napped:?}");
        control.close().expect("close() succeeds");
    });
    slot.unbind().expect("the device unbinds");
    let said = machine.dmesg();
    napper.join();
    unload(module, slot);
    said.iter().any(|line| {
        line.contains("chardev0: unbinding has waited") && line.contains("ioctl() of napper[")
    })
}
