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

// ---- Faux and auxiliary devices, which are made by whoever wants one ----

/// As the platform driver's `probe` and `remove`.
unsafe fn probed(dev: *mut bindings::device) -> c_int {
    let state = STATE.load(SeqCst);
    // SAFETY: The check keeps its state until the driver is gone.
    unsafe {
        (*state).dev = dev;
        (*state).begun.add(1);
        bindings::dev_set_drvdata(dev, state.cast());
        bindings::devm_add_action(dev, Some(added_first), state.cast());
        bindings::devm_add_action(dev, Some(added_second), state.cast());
        (*state).cpu.get()
    }
}

unsafe extern "C" fn faux_probe(faux: *mut bindings::faux_device) -> c_int {
    // SAFETY: As in `probed`.
    unsafe { probed(&raw mut (*faux).dev) }
}

unsafe extern "C" fn faux_remove(_faux: *mut bindings::faux_device) {
    // SAFETY: As in `probe`.
    unsafe { step(STATE.load(SeqCst), 1) };
}

static FAUX_OPS: bindings::faux_device_ops = bindings::faux_device_ops {
    probe: Some(faux_probe),
    remove: Some(faux_remove),
};

unsafe fn faux(ops: *const bindings::faux_device_ops) -> *mut bindings::faux_device {
    // SAFETY: The name is copied, and the operations are static.
    unsafe { bindings::faux_device_create(c"fidelity-faux".as_ptr().cast(), null_mut(), ops) }
}

pub(crate) unsafe fn a_faux_device_is_bound_when_it_is_made_and_until_it_is_destroyed(
    edu: Edu,
) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: The state is freed after the device is gone.
    unsafe {
        let state = State::new(edu);
        STATE.store(state, SeqCst);
        let device = faux(&FAUX_OPS);
        verdict.expect(!device.is_null(), "no device", 0);
        let probed = (*state).begun.get();
        verdict.expect(probed == 1, "probed", probed);
        let order = (*state).seen.get();
        verdict.expect(order == 0, "removed before it is destroyed", order);
        bindings::faux_device_destroy(device);
        let order = (*state).seen.get();
        verdict.expect(order == 123, "order of remove and two actions", order);
        let data = (*state).again.get();
        verdict.expect(data == 3, "of three, this many saw the driver's data", data);
        State::free(state);
    }
    verdict.happened(true)
}

pub(crate) unsafe fn a_faux_device_that_does_not_probe_is_not_made(edu: Edu) -> Verdict {
    let mut verdict = Verdict::default();
    // SAFETY: As above.
    unsafe {
        let state = State::new(edu);
        STATE.store(state, SeqCst);
        (*state).cpu.set(ENXIO.to_errno());
        let device = faux(&FAUX_OPS);
        verdict.expect(device.is_null(), "there is a device", 1);
        let order = (*state).seen.get();
        verdict.expect(order == 23, "order of two actions", order);
        State::free(state);
    }
    verdict.happened(true)
}

unsafe extern "C" fn child_probe(
    adev: *mut bindings::auxiliary_device,
    id: *const bindings::auxiliary_device_id,
) -> c_int {
    // SAFETY: As in `probed`; the entry is one of the driver's table.
    unsafe {
        (*STATE.load(SeqCst)).ended.add((*id).driver_data as i32);
        probed(&raw mut (*adev).dev)
    }
}

unsafe extern "C" fn child_remove(_adev: *mut bindings::auxiliary_device) {
    // SAFETY: As in `probe`.
    unsafe { step(STATE.load(SeqCst), 1) };
}

/// The device is the start of its structure.
unsafe extern "C" fn child_release(dev: *mut bindings::device) {
    // SAFETY: Nobody refers to it any more, and the state is still there.
    unsafe {
        let state = STATE.load(SeqCst);
        (*state).seen.set((*state).seen.get() * 10 + 4);
        give_back(dev.cast::<bindings::auxiliary_device>());
    }
}

pub(crate) unsafe fn an_auxiliary_device_is_unbound_when_it_is_deleted_and_freed_later(
    edu: Edu,
) -> Verdict {
    let mut verdict = Verdict::default();
    let driver = allocate::<bindings::auxiliary_driver>();
    let table = allocate::<[bindings::auxiliary_device_id; 2]>();
    let child = allocate::<bindings::auxiliary_device>();
    // SAFETY: All is unregistered before its memory is given back.
    unsafe {
        let state = State::new(edu);
        STATE.store(state, SeqCst);
        for (to, from) in (*table)[0]
            .name
            .iter_mut()
            .zip(c"fidelity.child".to_bytes())
        {
            *to = *from;
        }
        (*table)[0].driver_data = 7;
        (*driver).name = c"fidelity-child".as_ptr().cast();
        (*driver).probe = Some(child_probe);
        (*driver).remove = Some(child_remove);
        (*driver).id_table = table.cast();
        let module = <Fidelity as ModuleMetadata>::THIS_MODULE.as_ptr();
        let error = bindings::__auxiliary_driver_register(driver, module, crate::name());
        verdict.expect(error == 0, "the driver is not registered", error);

        let parent = faux(core::ptr::null());
        verdict.expect(!parent.is_null(), "no parent", 0);
        (*child).dev.parent = &raw mut (*parent).dev;
        (*child).dev.release = Some(child_release);
        (*child).name = c"child".as_ptr().cast();
        (*child).id = 1;
        let error = bindings::auxiliary_device_init(child);
        verdict.expect(error == 0, "the device is not initialised", error);
        let error = bindings::__auxiliary_device_add(child, c"fidelity".as_ptr().cast());
        verdict.expect(error == 0, "the device is not added", error);
        let probed = (*state).begun.get();
        verdict.expect(probed == 1, "probed", probed);
        let data = (*state).ended.get();
        verdict.expect(data == 7, "data of the entry that matched", data);
        bindings::auxiliary_device_delete(child);
        let order = (*state).seen.get();
        verdict.expect(order == 123, "order of remove and two actions", order);
        bindings::auxiliary_device_uninit(child);
        let order = (*state).seen.get();
        verdict.expect(order == 1234, "and of the release", order);
        bindings::faux_device_destroy(parent);
        bindings::auxiliary_driver_unregister(driver);
        give_back(driver);
        give_back(table);
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
