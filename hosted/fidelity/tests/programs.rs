// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What takes a program: files, unloading, unplugging. The same checks, by the same names, are in
//! `linux/guest/fidelity.rs`, where they are the guest's program.

use fidelity::node;
use kernel::error::code;
use kernel::hosted::{edu::Edu, explore, Loaded, Machine, OpenFile, PciSlot};
use std::rc::Rc;

/// A machine with the module, the device, and its node open.
struct Guest {
    m: Machine,
    module: Loaded,
    slot: PciSlot,
    control: OpenFile,
}

impl Guest {
    fn new(m: &Machine) -> Self {
        Self {
            m: *m,
            module: m.load(&fidelity::MODULE).unwrap(),
            slot: m.plug_pci(Edu::new()),
            control: m.open("fidelity").unwrap(),
        }
    }

    fn order(&self, order: u32, argument: usize) -> isize {
        self.control.ioctl(order, argument).unwrap()
    }

    fn open(&self) -> OpenFile {
        self.m.open("fidelity-node").unwrap()
    }

    /// Waits until an answer is at least this.
    fn until(&self, order: u32, at_least: isize) {
        while self.order(order, 0) < at_least {
            kernel::hosted::relax();
        }
    }

    fn end(self) {
        self.control.close().unwrap();
        self.slot.unplug();
        self.module.unload().unwrap();
    }
}

#[test]
fn the_module_names_its_checks_and_runs_one_by_its_name() {
    explore(20, |m| {
        let guest = Guest::new(m);
        for check in fidelity::CHECKS {
            let mut name = [0; 128];
            let len = guest.control.read(&mut name).unwrap();
            assert_eq!(&name[..len], check.name.as_bytes());
        }
        assert_eq!(guest.control.read(&mut [0; 128]), Ok(0));
        let name = "edu_says_who_it_is_and_answers";
        assert_eq!(guest.control.write(name.as_bytes()), Ok(name.len()));
        let line = format!("fidelity: {name}: ok");
        assert!(m.dmesg().contains(&line), "{:?}", m.dmesg());
        assert_eq!(guest.control.write(b"no_such_check"), Err(code::EINVAL));
        // The answer is the model's, and Linux's was wanted.
        let name = "the_minor_of_a_misc_device_registered_again";
        assert_eq!(guest.control.write(name.as_bytes()), Err(code::EIO));
        let line = format!("fidelity: {name}: another, and not the same");
        assert!(m.dmesg().contains(&line), "{:?}", m.dmesg());
        guest.end();
    });
}

#[test]
fn misc_deregister_does_not_wait_for_open_files() {
    explore(1000, |m| {
        let guest = Guest::new(m);
        guest.order(node::REGISTER, 0);
        let file = guest.open();
        guest.order(node::DEREGISTER, 0);
        guest.order(node::GO_ON, 0);
        assert_eq!(file.read(&mut [0]), Ok(1));
        assert_eq!(guest.order(node::RELEASES, 0), 0);
        file.close().unwrap();
        guest.end();
    });
}

#[test]
fn a_node_that_is_deregistered_does_not_open() {
    explore(300, |m| {
        let guest = Guest::new(m);
        guest.order(node::REGISTER, 0);
        guest.open().close().unwrap();
        guest.order(node::DEREGISTER, 0);
        assert_eq!(m.open("fidelity-node").map(drop), Err(code::ENOENT));
        assert_eq!(guest.order(node::OPENS, 0), 1);
        guest.end();
    });
}

#[test]
fn release_is_called_at_the_last_close_and_not_before() {
    explore(300, |m| {
        let guest = Guest::new(m);
        guest.order(node::REGISTER, 0);
        let first = guest.open();
        let second = first.dup();
        first.close().unwrap();
        assert_eq!(guest.order(node::RELEASES, 0), 0);
        second.close().unwrap();
        assert_eq!(guest.order(node::RELEASES, 0), 1);
        guest.order(node::DEREGISTER, 0);
        guest.end();
    });
}

#[test]
fn an_operation_in_flight_keeps_its_file() {
    explore(1000, |m| {
        let guest = Guest::new(m);
        guest.order(node::REGISTER, 0);
        let file = Rc::new(guest.open());
        let reader = m.spawn("reader", {
            let file = file.clone();
            move || file.read(&mut [0])
        });
        guest.until(node::READS, 1);
        file.close().unwrap();
        guest.order(node::DEREGISTER, 0);
        assert_eq!(guest.order(node::RELEASES, 0), 0);
        guest.order(node::GO_ON, 0);
        assert_eq!(reader.join(), Ok(1));
        assert_eq!(guest.order(node::RELEASES, 0), 1);
        guest.end();
    });
}

#[test]
fn misc_deregister_waits_for_an_open_in_progress() {
    explore(1000, |m| {
        let guest = Guest::new(m);
        guest.order(node::REGISTER, 0);
        guest.order(node::OPEN_TAKES, 200);
        let machine = *m;
        let opener = m.spawn("opener", move || {
            machine.open("fidelity-node").unwrap().close().unwrap();
        });
        guest.until(node::OPENS, 1);
        guest.order(node::DEREGISTER, 0);
        assert_eq!(guest.order(node::OPENED, 0), 1);
        opener.join();
        guest.end();
    });
}

#[test]
fn memory_that_is_not_the_programs_gives_efault() {
    explore(300, |m| {
        let guest = Guest::new(m);
        guest.order(node::REGISTER, 0);
        let file = guest.open();
        guest.order(node::GO_ON, 0);
        assert_eq!(file.read_to_nowhere(), Err(code::EFAULT));
        file.close().unwrap();
        guest.order(node::DEREGISTER, 0);
        guest.end();
    });
}

#[test]
fn a_module_in_use_is_not_unloaded_and_says_eagain() {
    explore(300, |m| {
        let guest = Guest::new(m);
        guest.order(node::REGISTER, 0);
        let file = guest.open();
        assert_eq!(guest.module.unload(), Err(code::EAGAIN));
        guest.order(node::DEREGISTER, 0);
        guest.control.close().unwrap();
        assert_eq!(guest.module.unload(), Err(code::EAGAIN));
        guest.slot.unbind().unwrap();
        assert_eq!(guest.module.unload(), Err(code::EAGAIN));
        file.close().unwrap();
        guest.module.unload().unwrap();
        guest.slot.unplug();
    });
}

#[test]
fn unbind_takes_the_node_away_and_bind_brings_it_back() {
    explore(300, |m| {
        let guest = Guest::new(m);
        guest.control.close().unwrap();
        guest.slot.unbind().unwrap();
        assert_eq!(m.open("fidelity").map(drop), Err(code::ENOENT));
        assert_eq!(guest.slot.unbind(), Err(code::ENODEV));
        guest.slot.bind().unwrap();
        m.open("fidelity").unwrap().close().unwrap();
        assert_eq!(guest.slot.bind(), Err(code::EBUSY));
        guest.slot.unplug();
        guest.module.unload().unwrap();
    });
}

#[test]
fn a_file_lives_on_when_the_device_is_removed() {
    explore(300, |m| {
        let guest = Guest::new(m);
        guest.order(node::REGISTER, 0);
        guest.order(node::GO_ON, 0);
        let file = guest.open();
        guest.control.close().unwrap();
        guest.slot.unplug();
        assert_eq!(m.open("fidelity").map(drop), Err(code::ENOENT));
        assert_eq!(file.read(&mut [0]), Ok(1));
        let slot = m.plug_pci(Edu::new());
        let control = m.open("fidelity").unwrap();
        control.ioctl(node::DEREGISTER, 0).unwrap();
        file.close().unwrap();
        assert_eq!(control.ioctl(node::RELEASES, 0), Ok(1));
        control.close().unwrap();
        slot.unplug();
        guest.module.unload().unwrap();
    });
}
