// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What programs and the hardware do to the `edu` driver.

use super::driver;
use kernel::{
    bindings::{POLLERR, POLLHUP, POLLIN, POLLOUT},
    error::{code, Error},
    hosted::{self, edu::Edu, Machine},
};

/// What happens to the driver, told line by line to `say`.
pub fn life_and_death(machine: &Machine, say: fn(String)) {
    let module = machine.load(&driver::MODULE).expect("the module loads");
    let slot = machine.plug_pci(Edu::new());
    assert!(slot.is_bound());
    say("module loaded, device found and bound".into());

    let file = machine.open("edu").expect("/dev/edu opens");
    assert_eq!(factorial(&file, 10), "3628800");
    say("factorial of 10, read from /dev/edu: 3628800".into());

    let polled = machine.open("edu").expect("/dev/edu opens again");
    assert_eq!(polled.poll_until(POLLIN | POLLOUT, None), Ok(POLLOUT));
    assert_eq!(polled.write(b"6\n"), Ok(2));
    assert_eq!(polled.poll_until(POLLIN, None), Ok(POLLIN));
    assert_eq!(answer(&polled), "720");
    say("factorial of 6, polled for before it was read: 720".into());

    let epoll = machine.epoll();
    epoll.add(&polled, POLLIN, 0).expect("epoll takes the file");
    let poller = machine.spawn("poller", move || {
        let events = polled.poll_until(POLLIN, None);
        (polled, events)
    });
    let asleep = machine.open("edu").expect("/dev/edu opens once more");
    let reader = machine.spawn("reader", move || asleep.read(&mut [0; 20]));
    let stormy = machine.open("edu").expect("/dev/edu opens a third time");
    let storm = machine.spawn("storm", move || {
        // Refused if the device has gone by now.
        let _ = stormy.ioctl(EDU_STORM, 3);
        stormy
    });

    slot.unbind().expect("the device unbinds");
    say(
        "unbound, with four files open, a reader and a poller asleep, and a storm of interrupts"
            .into(),
    );

    assert_eq!(reader.join(), Err(code::ENODEV));
    say(format!("the reader came back with {}", name(code::ENODEV)));
    let (polled, events) = poller.join();
    assert_eq!(events, Ok(POLLHUP | POLLERR));
    assert_eq!(epoll.wait(), Ok((0, POLLHUP | POLLERR)));
    say("the poller came back with POLLHUP | POLLERR, and epoll says the same".into());
    let stormy = storm.join();
    assert_eq!(file.read(&mut [0; 20]), Err(code::ENODEV));
    assert_eq!(file.write(b"5\n"), Err(code::ENODEV));
    assert_eq!(stormy.ioctl(EDU_INTERRUPTS, 0), Err(code::ENODEV));
    say(format!(
        "read, write and ioctl on files still open: {}",
        name(code::ENODEV)
    ));

    assert_eq!(module.unload(), Err(code::EAGAIN));
    say(format!(
        "module unload with files open: {}",
        name(code::EAGAIN)
    ));

    slot.bind().expect("the device binds again");
    let again = machine.open("edu").expect("/dev/edu opens after that");
    assert_eq!(factorial(&again, 5), "120");
    assert_eq!(file.read(&mut [0; 20]), Err(code::ENODEV));
    say("bound again: 5! is 120 in a new file, the old one stays dead".into());

    assert_eq!(epoll.wait(), Ok((0, POLLHUP | POLLERR)));
    for file in [file, polled, stormy, again] {
        file.close().expect("close() succeeds");
    }
    assert_eq!(epoll.try_wait(), None);
    drop(epoll);
    module.unload().expect("the module unloads");
    assert!(!slot.is_bound());
    say("all files closed, module unloaded".into());
    slot.unplug();

    let ledger = machine.ledger();
    say(format!("the ledger: {ledger}"));
}

/// Asks for a factorial as a program does.
fn factorial(file: &hosted::OpenFile, number: u32) -> String {
    let question = format!("{number}\n");
    assert_eq!(file.write(question.as_bytes()), Ok(question.len()));
    answer(file)
}

/// Reads the answer.
fn answer(file: &hosted::OpenFile) -> String {
    let mut text = [0; 20];
    let len = file.read(&mut text).expect("an answer");
    String::from_utf8_lossy(&text[..len]).trim().to_string()
}

/// How C calls an error.
fn name(error: Error) -> String {
    format!("{error:?}")
}

const EDU_INTERRUPTS: u32 = kernel::ioctl::_IO('e' as u32, 1);
const EDU_STORM: u32 = kernel::ioctl::_IOW::<u32>('e' as u32, 3);
