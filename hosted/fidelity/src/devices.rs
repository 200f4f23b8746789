// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The driver core, PCI, the `edu` device, misc devices' numbers.

use crate::{
    allocate, give_back,
    state::{settle, State},
    Edu, Fidelity, Verdict,
};
use core::{
    ptr::null_mut,
    sync::atomic::{AtomicPtr, Ordering::SeqCst},
};
use kernel::{
    bindings::{self, irqreturn, irqreturn_t},
    prelude::*,
    ModuleMetadata,
};

const IDENTIFICATION: usize = 0x00;
const LIVENESS: usize = 0x04;
const FACTORIAL: usize = 0x08;
const STATUS: usize = 0x20;
const COMPUTING: u32 = 0x01;
const INTERRUPT: u32 = 0x80;

pub(crate) unsafe fn edu_says_who_it_is_and_answers(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The device is bound.
    unsafe {
        let id = edu.read(IDENTIFICATION);
        verdict.expect(id == 0x0100_00ed, "identification", id);
        edu.write(LIVENESS, 0x1234_5678);
        let answer = edu.read(LIVENESS);
        verdict.expect(answer == !0x1234_5678, "inverted 0x12345678", answer);
        edu.write(crate::device::RAISE, 0);
        edu.acknowledge();
        let causes = edu.acknowledge();
        verdict.expect(causes == 0, "causes after all were acknowledged", causes);
    }
    verdict.happened(true)
}

/// Keeps the causes of the interrupt.
unsafe extern "C" fn keeps_the_cause(_irq: c_int, cookie: *mut c_void) -> irqreturn_t {
    let state = cookie.cast::<State>();
    // SAFETY: The cookie is a `State` that outlives the registration.
    unsafe {
        (*state).seen.set((*state).edu.acknowledge() as i32);
        State::enter(state);
        State::leave(state);
    }
    irqreturn::IRQ_HANDLED
}

pub(crate) unsafe fn edu_computes_a_factorial_and_interrupts_when_asked_to(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The state is freed after the interrupt.
    unsafe {
        let state = State::new(edu);
        let error = State::request(state, Some(keeps_the_cause), None, 0);
        verdict.expect(error == 0, "request_irq() failed", error);
        edu.write(STATUS, 0);
        edu.write(FACTORIAL, 5);
        while edu.read(STATUS) & COMPUTING != 0 {
            bindings::msleep(1);
        }
        let answer = edu.read(FACTORIAL);
        verdict.expect(answer == 120, "5!", answer);
        settle();
        let interrupts = (*state).begun.get();
        verdict.expect(interrupts == 0, "interrupts nobody asked for", interrupts);
        edu.write(STATUS, INTERRUPT);
        edu.write(FACTORIAL, 10);
        verdict.expect(State::entered(state), "no interrupt", 0);
        edu.write(STATUS, 0);
        let answer = edu.read(FACTORIAL);
        verdict.expect(answer == 3_628_800, "10!", answer);
        let cause = (*state).seen.get();
        verdict.expect(cause == 1, "the cause of the interrupt", cause);
        State::free_irq(state);
        State::free(state);
    }
    verdict.happened(true)
}

pub(crate) unsafe fn a_pci_device_has_its_bar_and_as_many_vectors_as_it_was_given(
    edu: Edu,
) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The device is bound; the vectors are changed while nothing is registered.
    unsafe {
        let len = bindings::pci_resource_len(edu.pdev, 0);
        verdict.expect(len == 1 << 20, "bytes in BAR 0", len as i64);
        let len = bindings::pci_resource_len(edu.pdev, 1);
        verdict.expect(len == 0, "bytes in BAR 1, which is absent", len as i64);
        let irq = bindings::pci_irq_vector(edu.pdev, 0);
        verdict.expect(irq > 0, "the first vector", irq);
        let irq = bindings::pci_irq_vector(edu.pdev, 1);
        verdict.expect(irq == EINVAL.to_errno(), "the second of one", irq);
        verdict.expect(edu.use_vectors(bindings::PCI_IRQ_INTX), "no INTx", 0);
        let kind = bindings::pci_irq_type(edu.pdev);
        verdict.expect(kind == bindings::PCI_IRQ_INTX, "INTx, and it says", kind);
        verdict.expect(edu.use_vectors(bindings::PCI_IRQ_MSI), "no MSI", 0);
        let kind = bindings::pci_irq_type(edu.pdev);
        verdict.expect(kind == bindings::PCI_IRQ_MSI, "MSI, and it says", kind);
    }
    verdict.happened(true)
}

// ---- The driver core, on a platform device of our own ----

/// What the callbacks of the platform driver write down.
static STATE: AtomicPtr<State> = AtomicPtr::new(null_mut());

/// Writes down a step, and whether the driver's data is still there.
unsafe fn step(state: *mut State, digit: i32) {
    // SAFETY: The state outlives the driver.
    unsafe {
        (*state).seen.set((*state).seen.get() * 10 + digit);
        let data = bindings::dev_get_drvdata((*state).dev);
        (*state).again.add((data == state.cast()).into());
    }
}

unsafe extern "C" fn added_first(state: *mut c_void) {
    // SAFETY: As in `step`.
    unsafe { step(state.cast(), 3) };
}

unsafe extern "C" fn added_second(state: *mut c_void) {
    // SAFETY: As in `step`.
    unsafe { step(state.cast(), 2) };
}

unsafe extern "C" fn probe(pdev: *mut bindings::platform_device) -> c_int {
    let state = STATE.load(SeqCst);
    // SAFETY: The check keeps its state until the driver is gone.
    unsafe {
        let dev = &raw mut (*pdev).dev;
        (*state).dev = dev;
        (*state).begun.add(1);
        bindings::dev_set_drvdata(dev, state.cast());
        bindings::devm_add_action(dev, Some(added_first), state.cast());
        bindings::devm_add_action(dev, Some(added_second), state.cast());
        (*state).cpu.get()
    }
}

unsafe extern "C" fn remove(_pdev: *mut bindings::platform_device) {
    // SAFETY: As in `probe`.
    unsafe { step(STATE.load(SeqCst), 1) };
}

fn described(name: &'static CStr) -> bindings::platform_device_info {
    bindings::platform_device_info {
        name: name.as_ptr().cast(),
        id: -1,
        ..Default::default()
    }
}

/// A platform driver and a device for it. What `probe` is to return is in `cpu`.
struct Platform {
    driver: *mut bindings::platform_driver,
    device: *mut bindings::platform_device,
}

impl Platform {
    unsafe fn new(state: *mut State, device: &'static CStr, driver: &'static CStr) -> Self {
        let this = Self {
            driver: allocate(),
            // SAFETY: The description is read, and not kept.
            device: unsafe { bindings::platform_device_register_full(&described(device)) },
        };
        STATE.store(state, SeqCst);
        // SAFETY: The driver is unregistered before its memory is given back.
        unsafe {
            (*this.driver).driver.name = driver.as_ptr().cast();
            (*this.driver).probe = Some(probe);
            (*this.driver).remove = Some(remove);
            let module = <Fidelity as ModuleMetadata>::THIS_MODULE.as_ptr();
            let name = crate::name();
            bindings::__platform_driver_register(this.driver, module, name);
        }
        this
    }

    unsafe fn unregister_driver(&self) {
        // SAFETY: Registered by `new`.
        unsafe { bindings::platform_driver_unregister(self.driver) };
    }

    /// After `unregister_driver`.
    unsafe fn end(self) {
        // SAFETY: Registered by `new`; the driver is not registered any more.
        unsafe {
            bindings::platform_device_unregister(self.device);
            give_back(self.driver);
        }
    }
}

pub(crate) unsafe fn remove_comes_before_devres_last_first_and_then_the_data_is_cleared(
    edu: Edu,
) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The state is freed after the driver is gone.
    unsafe {
        let state = State::new(edu);
        let platform = Platform::new(state, c"fidelity-platform", c"fidelity-platform");
        let probed = (*state).begun.get();
        verdict.expect(probed == 1, "probed", probed);
        platform.unregister_driver();
        let order = (*state).seen.get();
        verdict.expect(order == 123, "order of remove and two actions", order);
        let data = (*state).again.get();
        verdict.expect(data == 3, "of three, this many saw the driver's data", data);
        let data = bindings::dev_get_drvdata((*state).dev);
        verdict.expect(
            data.is_null(),
            "the driver's data is still there",
            data as i64,
        );
        platform.end();
        State::free(state);
    }
    verdict.happened(true)
}

pub(crate) unsafe fn a_probe_that_fails_is_cleaned_up_without_remove(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: As above.
    unsafe {
        let state = State::new(edu);
        (*state).cpu.set(ENXIO.to_errno());
        let platform = Platform::new(state, c"fidelity-platform", c"fidelity-platform");
        let probed = (*state).begun.get();
        verdict.expect(probed == 1, "probed", probed);
        let order = (*state).seen.get();
        verdict.expect(order == 23, "order of two actions", order);
        let data = bindings::dev_get_drvdata((*state).dev);
        verdict.expect(
            data.is_null(),
            "the driver's data is still there",
            data as i64,
        );
        platform.unregister_driver();
        let order = (*state).seen.get();
        verdict.expect(order == 23, "and later", order);
        platform.end();
        State::free(state);
    }
    verdict.happened(true)
}

pub(crate) unsafe fn a_platform_driver_is_given_the_device_of_its_name(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: As above.
    unsafe {
        let state = State::new(edu);
        let other = Platform::new(state, c"fidelity-other", c"fidelity-platform");
        let probed = (*state).begun.get();
        verdict.expect(probed == 0, "probed for another's device", probed);
        let late = bindings::platform_device_register_full(&described(c"fidelity-platform"));
        let probed = (*state).begun.get();
        verdict.expect(probed == 1, "probed for a device that came later", probed);
        bindings::platform_device_unregister(late);
        let order = (*state).seen.get();
        verdict.expect(order == 123, "order when the device goes", order);
        other.unregister_driver();
        other.end();
        State::free(state);
    }
    verdict.happened(true)
}

// ---- Misc devices ----

pub(crate) unsafe fn the_minor_of_a_misc_device_registered_again(_edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    let misc = allocate::<bindings::miscdevice>();
    let fops = allocate::<bindings::file_operations>();
    let mut minors = [0; 2];
    // SAFETY: The device is deregistered before its memory is given back.
    unsafe {
        for minor in &mut minors {
            (*misc).minor = bindings::MISC_DYNAMIC_MINOR as c_int;
            (*misc).name = c"fidelity-minor".as_ptr().cast();
            (*misc).fops = fops;
            let error = bindings::misc_register(misc);
            verdict.expect(error == 0, "misc_register() failed", error);
            *minor = (*misc).minor;
            bindings::misc_deregister(misc);
        }
        give_back(misc);
        give_back(fops);
    }
    verdict.answer = Some(match minors[0] == minors[1] {
        true => "the same",
        false => "another",
    });
    verdict.happened(true)
}
