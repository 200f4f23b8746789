//! USB transfers, C style.

use super::*;
use crate::bindings::urb;
use crate::error::code;
use crate::error::to_result;
use std::ptr::null_mut;

/// What completion handlers count, and where the buffer is.
#[repr(C)]
struct Port {
    completed: i32,
    again: i32,
    status: i32,
    buffer: [u8; 4],
}

unsafe extern "C" fn complete(urb: *mut urb) {
    // SAFETY: the context is a `Port`, and the URB is the handler's.
    unsafe {
        let port = (*urb).context.cast::<Port>();
        (*port).completed += 1;
        (*port).status = (*urb).status;
        if (*port).again > 0 {
            (*port).again -= 1;
            let _ = usb_submit_urb(urb, GFP_ATOMIC);
        }
    }
}

/// A device that is always or never ready, and an URB for its bulk endpoint in the direction `is_in`.
fn port(m: &Machine, ready: bool, is_in: bool) -> (DeviceSlot, *mut urb, *mut Port) {
    struct Silent;
    impl UsbFunction for Silent {
        fn endpoints(&self) -> Vec<UsbEndpoint> {
            GadgetZero.endpoints()
        }

        fn transfer(&self, _: UsbTransfer<'_>) -> Option<Result<usize>> {
            None
        }
    }
    let info = UsbInfo::default();
    let slot = match ready {
        true => m.plug_usb(info),
        false => m.plug_usb_function(info, Arc::new(Silent)),
    };
    // SAFETY: allocations that are checked, and an interface that is there.
    unsafe {
        let port = kzalloc(size_of::<Port>(), GFP_KERNEL).cast::<Port>();
        let urb = usb_alloc_urb(0, GFP_KERNEL);
        assert!(!port.is_null() && !urb.is_null());
        let bulk = USB_ENDPOINT_XFER_BULK as ffi::c_int;
        assert_eq!(
            devscope_urb_set_up(urb, slot.interface(), bulk, is_in, -1),
            0
        );
        (*urb).transfer_buffer = (&raw mut (*port).buffer).cast();
        (*urb).transfer_buffer_length = 4;
        (*urb).complete = Some(complete);
        (*urb).context = port.cast();
        (slot, urb, port)
    }
}

fn free(urb: *mut urb, port: *mut Port) {
    // SAFETY: ours, and not in flight.
    unsafe {
        usb_free_urb(urb);
        kfree(port.cast());
    }
}

fn submit(urb: *mut urb) -> Result {
    // SAFETY: an URB of `port`.
    to_result(unsafe { usb_submit_urb(urb, GFP_KERNEL) })
}

#[test]
fn a_transfer_completes_once_in_a_softirq() {
    explore(300, |m| {
        let (_slot, urb, port) = port(m, true, true);
        // SAFETY: as `port` made them.
        unsafe {
            (*port).again = 2;
            (*port).buffer = [1; 4];
            assert_eq!(submit(urb), Ok(()));
            m.settle();
            assert_eq!(((*port).completed, (*port).status), (3, 0));
            assert_eq!(((*port).buffer, (*urb).actual_length), ([0; 4], 4));
        }
        free(urb, port);
    });
}

#[test]
fn an_urb_that_is_active_is_not_submitted() {
    let failure = failure(|m| {
        let (_slot, urb, _) = port(m, false, true);
        assert_eq!(submit(urb), Ok(()));
        let _ = submit(urb);
    });
    assert_eq!(failure.kind, Kind::Misuse);
    assert!(failure.message.contains("while it is active"), "{failure}");
}

#[test]
fn the_buffer_of_an_urb_in_flight_is_not_freed() {
    let failure = failure(|m| {
        let (_slot, urb, port) = port(m, false, true);
        assert_eq!(submit(urb), Ok(()));
        free(urb, port);
    });
    assert_eq!(failure.kind, Kind::FreedWhileActive);
}

#[test]
fn a_killed_urb_has_completed_and_can_be_submitted_again() {
    explore(300, |m| {
        let (_slot, urb, port) = port(m, m.choose(2) == 0, false);
        // SAFETY: as `port` made them.
        unsafe {
            (*port).again = 1_000_000;
            assert_eq!(submit(urb), Ok(()));
            usb_kill_urb(urb);
            let completed = (*port).completed;
            assert!(completed > 0);
            m.settle();
            assert_eq!((*port).completed, completed);
            (*port).again = 0;
            assert_eq!(submit(urb), Ok(()));
            usb_kill_urb(urb);
            assert_eq!((*port).completed, completed + 1);
        }
        free(urb, port);
    });
}

#[test]
fn a_blocked_urb_is_refused() {
    explore(300, |m| {
        let (slot, urb, port) = port(m, false, true);
        // SAFETY: as `port` made them.
        unsafe {
            assert_eq!(to_result(usb_unlink_urb(urb)), Err(code::EIDRM));
            assert_eq!(submit(urb), Ok(()));
            usb_block_urb(urb);
            assert_eq!(to_result(usb_unlink_urb(urb)), Err(code::EINPROGRESS));
            m.settle();
            assert_eq!(to_result((*port).status), Err(code::ECONNRESET));
            assert_eq!(submit(urb), Err(code::EPERM));
            usb_poison_urb(urb);
            usb_unpoison_urb(urb);
            assert_eq!(submit(urb), Err(code::EPERM));
            usb_unpoison_urb(urb);
            (*urb).pipe ^= 2 << 15;
            assert_eq!(submit(urb), Err(code::ENOENT));
            (*urb).dev = null_mut();
            assert_eq!(submit(urb), Err(code::ENODEV));
        }
        free(urb, port);
        slot.unplug();
    });
}
