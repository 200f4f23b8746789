// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Programs poll the node of `Reading`, and leave entries on its queue, while the device goes.

use super::reading::MODULE;
use kernel::{
    bindings::{POLLERR, POLLHUP, POLLIN, POLLRDNORM},
    hosted::{edu::Edu, Loaded, Machine, OpenFile, PciSlot, Program},
    prelude::*,
};
use std::rc::Rc;

/// What programs ask for. The node is writable always, so nobody asks for that.
const READ: u32 = POLLIN | POLLRDNORM;

/// What the framework answers when the device has gone.
const GONE: u32 = POLLHUP | POLLERR;

/// Loads the module and plugs the device in.
fn bind(machine: &Machine) -> (Loaded, PciSlot, std::sync::Arc<Edu>) {
    let module = machine.load(&MODULE).expect("the module loads");
    let edu = Edu::new();
    let slot = machine.plug_pci(edu.clone());
    assert!(slot.is_bound());
    (module, slot, edu)
}

fn unload(module: Loaded, slot: PciSlot) {
    module.unload().expect("the module unloads");
    slot.unplug();
}

/// A program that polls until there is something to tell.
fn poller(machine: &Machine, file: Rc<OpenFile>) -> Program<Result<u32>> {
    machine.spawn("poller", move || file.poll_until(READ, None))
}

/// The interrupt comes before the poller registers, while it does, or when it sleeps.
pub fn an_interrupt_wakes_a_poller(machine: &Machine) {
    let (module, slot, edu) = bind(machine);
    let file = Rc::new(machine.open("shape").expect("the node opens"));
    let poller = poller(machine, file.clone());
    edu.raise(1);
    assert_eq!(poller.join(), Ok(READ));
    file.close().expect("close() succeeds");
    slot.unbind().expect("the device unbinds");
    unload(module, slot);
}

pub fn a_poller_sleeps_through_unbind(machine: &Machine) {
    let (module, slot, _) = bind(machine);
    let file = Rc::new(machine.open("shape").expect("the node opens"));
    let poller = poller(machine, file.clone());
    slot.unbind().expect("the device unbinds");
    assert_eq!(poller.join(), Ok(GONE));
    assert_eq!(file.poll(), Ok(GONE));
    file.close().expect("close() succeeds");
    unload(module, slot);
}

/// Two poll one file, which is closed while they do, and one of them another file as well.
pub fn two_pollers_sleep_through_unbind(machine: &Machine) {
    let (module, slot, _) = bind(machine);
    let shared = Rc::new(machine.open("shape").expect("the node opens"));
    let own = Rc::new(machine.open("shape").expect("the node opens again"));
    let pollers = [&shared, &shared, &own].map(|file| poller(machine, file.clone()));
    slot.unbind().expect("the device unbinds");
    shared.close().expect("close() succeeds");
    for (poller, closed) in pollers.into_iter().zip([true, true, false]) {
        let result = poller.join();
        // `POLLNVAL`, from a descriptor that is closed already, is not the driver's.
        let invalid = closed && result == Ok(kernel::bindings::POLLNVAL);
        assert!(result == Ok(GONE) || invalid, "poll() gave {result:?}");
    }
    own.close().expect("close() succeeds");
    unload(module, slot);
}

/// The entry stays on the queue when the device has gone, until the file is closed, late, while the
/// epoll is closed as well.
pub fn an_epoll_keeps_its_entries_through_unbind(machine: &Machine) {
    let (module, slot, _) = bind(machine);
    let file = machine.open("shape").expect("the node opens");
    let epoll = machine.epoll();
    epoll.add(&file, READ, 7).expect("the file is added");
    let waiter = machine.spawn("waiter", move || {
        assert_eq!(epoll.wait(), Ok((7, GONE)));
        epoll
    });
    slot.unbind().expect("the device unbinds");
    let epoll = waiter.join();
    slot.bind().expect("the device binds again");
    assert_eq!(epoll.wait(), Ok((7, GONE)));
    slot.unbind().expect("the device unbinds again");
    let closes = machine.spawn("closes", move || drop(epoll));
    file.close().expect("close() succeeds");
    closes.join();
    unload(module, slot);
}

/// Operations, interrupts, an epoll that comes and goes, and unbinding, all at once.
pub fn polling_races_with_unbind(machine: &Machine) {
    let (module, slot, edu) = bind(machine);
    let file = Rc::new(machine.open("shape").expect("the node opens"));
    let poller = machine.spawn("poller", {
        let file = file.clone();
        move || loop {
            match file.poll_until(READ, None) {
                Ok(READ) => {}
                Ok(GONE) => return,
                other => panic!("poll() gave {other:?}"),
            }
        }
    });
    let other = *machine;
    let waiter = machine.spawn("waiter", {
        let file = file.clone();
        move || {
            for _ in 0..2 {
                let epoll = other.epoll();
                epoll.add(&file, READ, 1).expect("the file is added");
                match epoll.wait() {
                    Ok((1, READ | GONE)) => {}
                    other => panic!("epoll gave {other:?}"),
                }
            }
        }
    });
    let hardware = machine.spawn("hardware", move || edu.raise(1));
    slot.unbind().expect("the device unbinds");
    hardware.join();
    poller.join();
    waiter.join();
    file.close().expect("close() succeeds");
    unload(module, slot);
}

/// A file whose device has gone stays dead when the device is bound again, and is no part of it.
pub fn a_polled_file_outlives_its_device(machine: &Machine) {
    let (module, slot, edu) = bind(machine);
    let first = Rc::new(machine.open("shape").expect("the node opens"));
    let early = poller(machine, first.clone());
    slot.unbind().expect("the device unbinds");
    slot.bind().expect("the device binds again");
    let second = Rc::new(machine.open("shape").expect("the node opens again"));
    let late = poller(machine, second.clone());
    assert_eq!(first.poll_until(READ, None), Ok(GONE));
    edu.raise(1);
    assert_eq!(early.join(), Ok(GONE));
    assert_eq!(late.join(), Ok(READ));
    assert_eq!(first.poll(), Ok(GONE));
    slot.unbind().expect("the device unbinds again");
    first.close().expect("close() succeeds");
    second.close().expect("close() succeeds");
    unload(module, slot);
}
