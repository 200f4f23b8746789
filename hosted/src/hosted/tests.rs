//! What the model promises, as tests against its C functions.

use super::*;
use crate::bindings::*;
use crate::ffi;
use std::ptr::null_mut;

/// A driver's state, C style.
#[repr(C)]
struct State {
    tasklet: tasklet_struct,
    work: work_struct,
    irq: u32,
    handled: u32,
    collected: u32,
}

unsafe extern "C" fn count(_irq: ffi::c_int, cookie: *mut ffi::c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: the cookie is a `State` that outlives the registration.
    unsafe { (*state).handled += 1 };
    irqreturn_t::IRQ_HANDLED
}

#[test]
fn an_interrupt_reaches_its_handler() {
    explore(200, |m| {
        let line = m.irq_line("demo", false);
        // SAFETY: the state is allocated here and freed after the interrupt.
        unsafe {
            let state = kzalloc(size_of::<State>(), GFP_KERNEL).cast::<State>();
            assert_eq!(
                request_irq(line.number(), Some(count), 0, null_mut(), state.cast()),
                0
            );
            line.pulse();
            m.settle();
            assert_eq!((*state).handled, 1);
            free_irq(line.number(), state.cast());
            kfree(state.cast());
        }
    });
}
