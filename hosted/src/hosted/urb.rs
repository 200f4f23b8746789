//! USB transfers, after `drivers/usb/core/urb.c` and `hcd.c`, and the devices that they are to.
//!
//! An URB is *queued* at its endpoint from the time that the host controller takes it until it is done
//! with, then *given back*: its completion handler is called in a softirq, of any CPU. Its `use_count` is
//! for how often both are under way, and its `reject` for how often it is blocked. Both, its memory, and
//! who refers to it are the machine's; the rest is in the structure, as in C.
//!
//! The host controller is a task of the device side. When it comes to an URB is part of the schedule; what
//! becomes of it then, [`UsbFunction`] says.

#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    reason = "what is asked of callers, C's documentation says"
)]

use super::buses::UsbObject;
use super::machine::{
    at, block_until, preempt, serve, spawn, step, world, Key, Place, TaskKind, Why, World, CPUS,
};
use super::report::Kind;
use super::softirq::start_softirqs;
use super::table::Table;
use crate::bindings::{
    gfp_t, urb, usb_device, usb_interface, USB_DIR_IN, USB_ENDPOINT_XFER_BULK,
    USB_ENDPOINT_XFER_CONTROL, USB_ENDPOINT_XFER_INT,
};
use crate::error::{code::*, Error, Result};
use crate::ffi;
use std::alloc::Layout;
use std::collections::VecDeque;
use std::mem::offset_of;
use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

/// `__GFP_DIRECT_RECLAIM`: the allocation may sleep.
const MAY_SLEEP: gfp_t = 0x400;

const PIPE_INTERRUPT: u32 = 1;
const PIPE_CONTROL: u32 = 2;
const PIPE_BULK: u32 = 3;

/// An endpoint that is not endpoint 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsbEndpoint {
    /// Its number, with `0x80` if the device sends from it.
    pub address: u8,
    /// For interrupt transfers, and not for bulk transfers.
    pub interrupt: bool,
}

/// A transfer that the host would make now.
#[derive(Debug)]
pub struct UsbTransfer<'a> {
    /// Which endpoint: its address.
    pub address: u8,
    /// The set-up packet, of a control transfer.
    pub setup: Option<[u8; 8]>,
    /// What the host sends, or where what it is sent goes.
    pub data: &'a mut [u8],
}

/// What a USB device does.
pub trait UsbFunction: 'static {
    /// The endpoints of its interface.
    fn endpoints(&self) -> Vec<UsbEndpoint>;

    /// A transfer: how many bytes it was, or why it failed. `None` if the device is not ready; it is asked
    /// again after [`Machine::usb_is_ready`](super::Machine::usb_is_ready).
    fn transfer(&self, transfer: UsbTransfer<'_>) -> Option<Result<usize>>;
}

/// Linux's test device "Gadget Zero", as far as it is one: a source of zeroes and a sink, both bulk, and
/// what every device answers at endpoint 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct GadgetZero;

impl UsbFunction for GadgetZero {
    fn endpoints(&self) -> Vec<UsbEndpoint> {
        [0x81, 0x01]
            .map(|address| UsbEndpoint {
                address,
                interrupt: false,
            })
            .into()
    }

    fn transfer(&self, transfer: UsbTransfer<'_>) -> Option<Result<usize>> {
        let Some([request_type, request, ..]) = transfer.setup else {
            transfer.data.fill(0);
            return Some(Ok(transfer.data.len()));
        };
        const DESCRIPTOR: [u8; 18] = [
            18, 1, 0, 2, 0xff, 0, 0, 64, 0x25, 0x05, 0xa0, 0xa4, 0, 0, 1, 2, 0, 1,
        ];
        let answer: &[u8] = match (request_type, request) {
            // GET_STATUS of the device: it has power of its own.
            (0x80, 0) => &[1, 0],
            // GET_DESCRIPTOR
            (0x80, 6) => &DESCRIPTOR,
            _ => return Some(Err(EPIPE)),
        };
        let length = answer.len().min(transfer.data.len());
        transfer.data[..length].copy_from_slice(&answer[..length]);
        Some(Ok(length))
    }
}

/// A device, found by its `struct usb_device`.
struct Device {
    function: Arc<dyn UsbFunction>,
    /// The endpoints of its interface are switched off: `usb_disable_interface()`.
    disabled: bool,
    /// It is not there any more.
    gone: bool,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").finish_non_exhaustive()
    }
}

/// What the model knows of an URB beside what is in its structure.
#[derive(Debug)]
struct Known {
    name: Rc<str>,
    references: u32,
    use_count: u32,
    reject: u32,
    /// The host controller has it, and its completion has not begun.
    active: bool,
    /// It is queued at its endpoint.
    queued: bool,
    /// The device was not ready for it.
    not_ready: bool,
    /// Why it is taken back, if it is.
    unlinked: Option<Error>,
    /// The memory that the device uses while it is active.
    buffers: [Range<usize>; 2],
    allocated: Place,
    submitted: Option<Place>,
}

#[derive(Default, Debug)]
pub(crate) struct Urbs {
    known: Table<Known>,
    /// In the order in which they were submitted.
    queue: Vec<usize>,
    /// Those that are given back, for each CPU.
    done: [VecDeque<usize>; CPUS],
    devices: Table<Device>,
    named: u32,
    controller: bool,
}

impl Urbs {
    pub(crate) fn active_in(&self, range: &Range<usize>) -> Option<(String, Vec<String>)> {
        let overlaps = |buffer: &Range<usize>| buffer.start < range.end && range.start < buffer.end;
        self.known.iter().find_map(|(_, known)| {
            if !known.active || !known.buffers.iter().any(overlaps) {
                return None;
            }
            let what = format!("the buffer of {}, which is in flight,", known.name);
            Some((what, known.facts()))
        })
    }

    pub(crate) fn left(&self) -> Vec<String> {
        let busy = self.known.iter().filter(|(_, known)| known.use_count > 0);
        busy.map(|(_, known)| format!("{}  {} is in flight", known.facts().join(", "), known.name))
            .collect()
    }

    /// Whether something is to be given back on this CPU.
    pub(crate) fn due(&self, cpu: usize) -> bool {
        !self.done[cpu].is_empty()
    }

    fn name(&self, urb: usize) -> Rc<str> {
        self.known
            .get(urb)
            .map_or_else(|| "urb".into(), |known| known.name.clone())
    }
}

impl Known {
    fn facts(&self) -> Vec<String> {
        let mut facts = vec![format!("allocated   {}", at(self.allocated))];
        facts.extend(
            self.submitted
                .map(|place| format!("submitted   {}", at(place))),
        );
        facts
    }
}

impl World {
    #[track_caller]
    fn check_urb(&mut self, urb: *const urb, place: Place) {
        self.check(urb as usize, size_of::<urb>(), "an urb", place);
        if self.urbs.known.get(urb as usize).is_none() {
            let message = "an urb is used that was not allocated as one".to_string();
            self.fail(
                Kind::Misuse,
                message,
                &[format!("used        {}", at(place))],
            );
        }
    }

    #[track_caller]
    fn known(&mut self, urb: usize) -> &mut Known {
        let known = self.urbs.known.get_mut(urb);
        known.expect("devscope bug: an urb that has been freed")
    }

    #[track_caller]
    fn put_urb(&mut self, urb: usize, place: Place) {
        let known = self.known(urb);
        known.references -= 1;
        if known.references == 0 {
            self.urbs.known.remove(urb);
            self.free(urb, place);
        }
    }

    /// One use less.
    fn end_use(&mut self, urb: usize) {
        let known = self.known(urb);
        known.use_count -= 1;
        if known.reject > 0 {
            self.wake(Key::Addr(urb));
        }
    }
}

fn endpoint(pipe: u32) -> u8 {
    ((pipe >> 15) & 0xf) as u8 | (pipe & USB_DIR_IN) as u8
}

fn is_control(pipe: u32) -> bool {
    pipe >> 30 == PIPE_CONTROL
}

fn errno(error: Error) -> ffi::c_int {
    error.to_errno()
}

// ---- Devices ----

/// A device has come.
pub(crate) fn add_device(udev: *mut usb_device, function: Arc<dyn UsbFunction>) {
    let device = Device {
        function,
        disabled: false,
        gone: false,
    };
    world(|w| w.urbs.devices.set(udev as usize, device));
}

/// The device is ready: those that it was not ready for are tried again.
pub(crate) fn is_ready() {
    world(|w| {
        for known in w.urbs.known.iter_mut() {
            known.not_ready = false;
        }
        w.wake(Key::HostController);
    });
    preempt();
}

/// Take back all that is queued at the device's endpoints, and wait until nothing is: what
/// `usb_hcd_flush_endpoint()` does for each.
fn flush(udev: usize, all: bool, place: Place) {
    let is_there = move |w: &World, urb: usize| {
        // SAFETY: a queued urb is there.
        let (dev, pipe) = unsafe { ((*(urb as *const urb)).dev, (*(urb as *const urb)).pipe) };
        dev as usize == udev && (all || !is_control(pipe)) && w.urbs.queue.contains(&urb)
    };
    world(|w| {
        for urb in w.urbs.queue.clone() {
            if is_there(w, urb) {
                w.known(urb).unlinked.get_or_insert(ESHUTDOWN);
            }
        }
        w.wake(Key::HostController);
    });
    block_until(
        Key::UsbEndpoints,
        Some(place),
        |_| Why::waits("the urbs of an endpoint".into()),
        |w| {
            let left = w.urbs.queue.iter().any(|&urb| is_there(w, urb));
            (!left).then_some(())
        },
    );
}

/// What the USB core does before a driver's `disconnect`.
pub(crate) fn disable(udev: *mut usb_device, gone: bool, place: Place) {
    let udev = udev as usize;
    world(|w| {
        if let Some(device) = w.urbs.devices.get_mut(udev) {
            device.disabled = true;
            device.gone |= gone;
        }
    });
    preempt();
    flush(udev, false, place);
}

/// What the USB core does after it.
pub(crate) fn enable(udev: *mut usb_device, place: Place) {
    let udev = udev as usize;
    let gone = world(|w| {
        let device = w.urbs.devices.get_mut(udev)?;
        device.disabled = device.gone;
        Some(device.gone)
    });
    if gone == Some(true) {
        // `usb_disable_device()`
        flush(udev, true, place);
        world(|w| w.urbs.devices.remove(udev));
    }
}

// ---- The host controller ----

fn start_controller() {
    if world(|w| std::mem::replace(&mut w.urbs.controller, true)) {
        return;
    }
    spawn("usb".into(), TaskKind::Hardware, None, || {
        serve(Key::HostController, next_transfer, transfer);
    });
}

/// The next that something can be done about: any that is taken back, or the first at its endpoint.
fn next_transfer(w: &mut World) -> Option<usize> {
    let mut busy = Vec::new();
    let mut candidates = Vec::new();
    for &urb in &w.urbs.queue {
        let known = w.urbs.known.get(urb)?;
        // SAFETY: a queued urb is there.
        let at = unsafe {
            (
                (*(urb as *const urb)).dev,
                endpoint((*(urb as *const urb)).pipe),
            )
        };
        let first = !busy.contains(&at);
        busy.push(at);
        if known.unlinked.is_some() || (first && !known.not_ready) {
            candidates.push(urb);
        }
    }
    match candidates.len() {
        0 => None,
        n => Some(candidates[w.rng.below(n)]),
    }
}

/// Make one transfer, if the device is ready for it.
fn transfer(urb: usize) {
    preempt();
    let place = Location::caller();
    let Some((udev, pipe, setup, mut data)) = world(|w| {
        if !w.urbs.queue.contains(&urb) {
            return None;
        }
        let [buffer, setup] = w.known(urb).buffers.clone();
        let read = |w: &mut World, range: Range<usize>| {
            if range.is_empty() {
                return Vec::new();
            }
            w.check(range.start, range.len(), "a transfer", place);
            // SAFETY: memory that is there, and nobody else's while the urb is queued.
            unsafe { std::slice::from_raw_parts(range.start as *const u8, range.len()) }.to_vec()
        };
        let (data, setup) = (read(w, buffer), read(w, setup));
        // SAFETY: a queued urb is there.
        let (udev, pipe) = unsafe { ((*(urb as *const urb)).dev, (*(urb as *const urb)).pipe) };
        Some((udev as usize, pipe, setup, data))
    }) else {
        return;
    };
    let function = world(|w| {
        let device = w.urbs.devices.get(udev)?;
        (!device.gone).then(|| device.function.clone())
    });
    let unlinked = world(|w| w.known(urb).unlinked);
    let result = match (unlinked, function) {
        (Some(why), _) => Some(Err(why)),
        (None, None) => Some(Err(EPROTO)),
        (None, Some(function)) => function.transfer(UsbTransfer {
            address: endpoint(pipe),
            setup: setup.try_into().ok(),
            data: &mut data,
        }),
    };
    let Some(result) = result else {
        world(|w| {
            if w.urbs.queue.contains(&urb) {
                w.known(urb).not_ready = true;
            }
        });
        return;
    };
    preempt();
    let cpu = world(|w| {
        if !w.urbs.queue.contains(&urb) {
            return None;
        }
        let length = result.unwrap_or(0).min(data.len());
        let buffer = w.known(urb).buffers[0].clone();
        if length > 0 {
            w.check(buffer.start, buffer.len(), "a transfer", place);
        }
        // SAFETY: a queued urb is there, and so is its buffer, which is the device's now.
        unsafe {
            let to = urb as *mut crate::bindings::urb;
            (*to).actual_length = length as u32;
            if pipe & USB_DIR_IN != 0 && length > 0 {
                std::ptr::copy_nonoverlapping(data.as_ptr(), buffer.start as *mut u8, length);
            }
        }
        let known = w.known(urb);
        known.unlinked = known.unlinked.or(result.err());
        w.take_off_endpoint(urb);
        Some(w.rng.below(CPUS))
    });
    if let Some(cpu) = cpu {
        start_softirqs(cpu);
        world(|w| {
            w.urbs.done[cpu].push_back(urb);
            w.wake(Key::CpuSoft(cpu));
        });
    }
}

impl World {
    /// `usb_hcd_unlink_urb_from_ep`
    fn take_off_endpoint(&mut self, urb: usize) {
        self.known(urb).queued = false;
        self.urbs.queue.retain(|&other| other != urb);
        self.wake(Key::UsbEndpoints);
    }
}

/// Give back what is to be given back on this CPU. Returns whether there was anything.
pub(crate) fn run_done(cpu: usize) -> bool {
    let mut ran = false;
    // New ones wait for the next time.
    for _ in 0..world(|w| w.urbs.done[cpu].len()) {
        if let Some(urb) = world(|w| w.urbs.done[cpu].pop_front()) {
            give_back(urb);
            ran = true;
        }
    }
    ran
}

/// `__usb_hcd_giveback_urb`
fn give_back(urb: usize) {
    preempt();
    let place = Location::caller();
    let to = urb as *mut crate::bindings::urb;
    let (complete, name) = world(|w| {
        w.check_urb(to, place);
        let known = w.known(urb);
        known.active = false;
        let status = known.unlinked.map_or(0, errno);
        let (name, facts) = (known.name.clone(), known.facts());
        // SAFETY: just checked.
        let (context, complete) = unsafe {
            (*to).status = status;
            ((*to).context as usize, (*to).complete)
        };
        if let Some(mut freed) = w.freed_facts(context) {
            freed.extend(facts);
            let message = format!("{name} completes, and its context is in freed memory");
            w.fail(Kind::RanAfterFree, message, &freed);
        }
        w.note("completes", &name, None);
        (complete, name)
    });
    if let Some(complete) = complete {
        // SAFETY: whoever submitted the urb promised that its handler may be called.
        unsafe { complete(to) };
    }
    preempt();
    world(|w| {
        w.note("has completed", &name, None);
        w.end_use(urb);
    });
    // Who waited in `usb_kill_urb()` may go on now, and this still uses the urb.
    preempt();
    world(|w| {
        w.check_urb(to, place);
        w.put_urb(urb, place);
    });
}

// ---- URBs ----

#[track_caller]
pub unsafe fn usb_alloc_urb(_iso_packets: ffi::c_int, mem_flags: gfp_t) -> *mut urb {
    let place = Location::caller();
    preempt();
    world(|w| {
        if mem_flags & MAY_SLEEP != 0 {
            w.might_sleep("usb_alloc_urb", place);
        }
        let new = w.allocate(Layout::new::<urb>(), "urb", place).cast::<urb>();
        if new.is_null() {
            return new;
        }
        // SAFETY: just allocated.
        unsafe { new.write(urb::default()) };
        w.urbs.named += 1;
        let known = Known {
            name: format!("urb {}", w.urbs.named).into(),
            references: 1,
            use_count: 0,
            reject: 0,
            active: false,
            queued: false,
            not_ready: false,
            unlinked: None,
            buffers: [0..0, 0..0],
            allocated: place,
            submitted: None,
        };
        w.urbs.known.set(new as usize, known);
        new
    })
}

#[track_caller]
pub unsafe fn usb_free_urb(urb: *mut urb) {
    if urb.is_null() {
        return;
    }
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check_urb(urb, place);
        w.put_urb(urb as usize, place);
    });
}

/// What `usb_submit_urb()` looks at before the host controller's driver is asked.
#[track_caller]
fn refuse(w: &mut World, urb: *mut urb, place: Place) -> Result {
    w.check_urb(urb, place);
    // SAFETY: just checked.
    let urb_ref = unsafe { &*urb };
    if urb_ref.complete.is_none() {
        return Err(EINVAL);
    }
    let name = w.urbs.name(urb as usize);
    if w.known(urb as usize).active {
        let mut facts = w.known(urb as usize).facts();
        facts.push(format!("again       {}", at(place)));
        w.fail(
            Kind::Misuse,
            format!("{name} is submitted while it is active"),
            &facts,
        );
    }
    let pipe = urb_ref.pipe;
    let Some(device) = w.urbs.devices.get(urb_ref.dev as usize) else {
        return Err(ENODEV);
    };
    if device.gone {
        return Err(ENODEV);
    }
    let endpoints = device.function.endpoints();
    let is = |wanted: &UsbEndpoint| wanted.address == endpoint(pipe);
    if !is_control(pipe) && !endpoints.iter().any(is) {
        return Err(ENOENT);
    }
    if is_control(pipe) {
        if urb_ref.setup_packet.is_null() {
            return Err(ENOEXEC);
        }
        w.check(urb_ref.setup_packet as usize, 8, "a set-up packet", place);
        // SAFETY: eight bytes, as was just checked.
        let setup = unsafe { *urb_ref.setup_packet.cast::<[u8; 8]>() };
        let length = u16::from_le_bytes([setup[6], setup[7]]);
        let is_out = setup[0] & 0x80 == 0 || length == 0;
        if is_out != (pipe & USB_DIR_IN == 0) {
            w.fail(
                Kind::Misuse,
                format!("{name}: its pipe and its request do not agree on the direction"),
                &[format!("submitted   {}", at(place))],
            );
        }
        if u32::from(length) != urb_ref.transfer_buffer_length {
            return Err(EBADR);
        }
    }
    if pipe >> 30 == PIPE_INTERRUPT && urb_ref.interval <= 0 {
        return Err(EINVAL);
    }
    Ok(())
}

#[track_caller]
pub unsafe fn usb_submit_urb(urb: *mut urb, mem_flags: gfp_t) -> ffi::c_int {
    let place = Location::caller();
    preempt();
    let key = urb as usize;
    let begun = world(|w| {
        if mem_flags & MAY_SLEEP != 0 {
            w.might_sleep("usb_submit_urb", place);
        }
        refuse(w, urb, place)?;
        // SAFETY: checked by `refuse`.
        let (buffer, length, setup) = unsafe {
            (*urb).status = errno(EINPROGRESS);
            (*urb).actual_length = 0;
            let setup = match is_control((*urb).pipe) {
                true => (*urb).setup_packet as usize,
                false => 0,
            };
            (
                (*urb).transfer_buffer as usize,
                (*urb).transfer_buffer_length as usize,
                setup,
            )
        };
        if length > 0 {
            w.check(buffer, length, "a transfer buffer", place);
        }
        let known = w.known(key);
        known.references += 1;
        known.use_count += 1;
        known.submitted = Some(place);
        known.buffers = [
            buffer..buffer + length,
            setup..setup + if setup == 0 { 0 } else { 8 },
        ];
        let name = known.name.clone();
        w.note("submits", &name, Some(place));
        Ok(())
    });
    if let Err(error) = begun {
        return errno(error);
    }
    // `urb_enqueue()`: who blocks or kills the urb may come between.
    preempt();
    start_controller();
    let result = world(|w| {
        if !w.allocate_token() {
            return Err(ENOMEM);
        }
        // SAFETY: checked by `refuse`, and it is counted.
        let (dev, pipe) = unsafe { ((*urb).dev as usize, (*urb).pipe) };
        // `usb_hcd_link_urb_to_ep()`
        if w.known(key).reject > 0 {
            return Err(EPERM);
        }
        let device = w.urbs.devices.get(dev);
        if !is_control(pipe) && device.is_none_or(|device| device.disabled) {
            return Err(ENOENT);
        }
        let known = w.known(key);
        (known.active, known.queued) = (true, true);
        (known.unlinked, known.not_ready) = (None, false);
        w.urbs.queue.push(key);
        w.wake(Key::HostController);
        Ok(())
    });
    let status = match result {
        Ok(()) => 0,
        Err(error) => {
            preempt();
            world(|w| {
                w.end_use(key);
                w.put_urb(key, place);
            });
            errno(error)
        }
    };
    preempt();
    status
}

/// `usb_hcd_unlink_urb`
#[track_caller]
fn unlink(urb: *mut urb, why: Error, place: Place) -> ffi::c_int {
    enum Found {
        Nothing(Error),
        TakenBack { at_once: bool },
    }
    let key = urb as usize;
    let found = world(|w| {
        w.check_urb(urb, place);
        let known = w.known(key);
        if known.use_count == 0 || !known.queued {
            return Found::Nothing(EIDRM);
        }
        if known.unlinked.is_some() {
            return Found::Nothing(EBUSY);
        }
        known.unlinked = Some(why);
        let name = known.name.clone();
        w.note("takes back", &name, Some(place));
        // Some host controllers' drivers complete it there and then.
        let at_once = w.rng.next() & 3 == 0;
        match at_once {
            true => w.take_off_endpoint(key),
            false => w.wake(Key::HostController),
        }
        Found::TakenBack { at_once }
    });
    match found {
        Found::Nothing(error) => errno(error),
        Found::TakenBack { at_once } => {
            if at_once {
                world(World::irqs_off);
                give_back(key);
                world(World::irqs_on);
            }
            preempt();
            errno(EINPROGRESS)
        }
    }
}

#[track_caller]
pub unsafe fn usb_unlink_urb(urb: *mut urb) -> ffi::c_int {
    let place = Location::caller();
    if urb.is_null() {
        return errno(EINVAL);
    }
    preempt();
    unlink(urb, ECONNRESET, place)
}

#[track_caller]
pub unsafe fn usb_block_urb(urb: *mut urb) {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check_urb(urb, place);
        w.known(urb as usize).reject += 1;
        let name = w.urbs.name(urb as usize);
        w.note("blocks", &name, Some(place));
    });
}

#[track_caller]
pub unsafe fn usb_unpoison_urb(urb: *mut urb) {
    let place = Location::caller();
    preempt();
    world(|w| {
        w.check_urb(urb, place);
        w.known(urb as usize).reject -= 1;
    });
}

#[track_caller]
pub unsafe fn usb_kill_urb(urb: *mut urb) {
    // SAFETY: the caller's promise is passed on.
    unsafe {
        usb_poison_urb(urb);
        usb_unpoison_urb(urb);
    }
}

#[track_caller]
pub unsafe fn usb_poison_urb(urb: *mut urb) {
    let place = Location::caller();
    let name = world(|w| {
        w.might_sleep("usb_kill_urb", place);
        w.check_urb(urb, place);
        w.urbs.name(urb as usize)
    });
    step("kills", &name, place);
    world(|w| {
        w.check_urb(urb, place);
        w.known(urb as usize).reject += 1;
    });
    preempt();
    unlink(urb, ENOENT, place);
    block_until(
        Key::Addr(urb as usize),
        Some(place),
        |_| Why::waits(format!("{name}, which is in flight").into()),
        |w| {
            w.check_urb(urb, place);
            (w.known(urb as usize).use_count == 0).then_some(())
        },
    );
    world(|w| w.note("has killed", &name, Some(place)));
    preempt();
}

// ---- What `src/` declares as `extern "C"` ----

/// An URB for an endpoint of an interface.
///
/// # Safety
///
/// `urb` is not in use, and `intf` is bound.
#[no_mangle]
pub unsafe extern "C" fn devscope_urb_set_up(
    urb: *mut urb,
    intf: *mut usb_interface,
    transfer: ffi::c_int,
    is_in: bool,
    number: ffi::c_int,
) -> ffi::c_int {
    // SAFETY: asked of the caller: interfaces are made with their devices.
    let udev = unsafe {
        &raw mut (*intf
            .byte_sub(offset_of!(UsbObject, intf))
            .cast::<UsbObject>())
        .udev
    };
    let direction = if is_in { USB_DIR_IN } else { 0 };
    let (pipe, interval) = match transfer as u32 {
        USB_ENDPOINT_XFER_CONTROL => (PIPE_CONTROL << 30 | direction, 0),
        transfer => {
            let interrupt = transfer == USB_ENDPOINT_XFER_INT;
            debug_assert!(interrupt || transfer == USB_ENDPOINT_XFER_BULK);
            let fits = |endpoint: &&UsbEndpoint| {
                endpoint.interrupt == interrupt
                    && (endpoint.address & 0x80 != 0) == is_in
                    && (number < 0 || ffi::c_int::from(endpoint.address & 0xf) == number)
            };
            let endpoints = world(|w| {
                let device = w.urbs.devices.get(udev as usize);
                device.map_or_else(Vec::new, |device| device.function.endpoints())
            });
            let Some(endpoint) = endpoints.iter().find(fits) else {
                return errno(ENXIO);
            };
            let kind = if interrupt { PIPE_INTERRUPT } else { PIPE_BULK };
            let number = u32::from(endpoint.address & 0xf);
            (kind << 30 | number << 15 | direction, i32::from(interrupt))
        }
    };
    // SAFETY: asked of the caller.
    unsafe {
        (*urb).dev = udev;
        (*urb).pipe = pipe;
        (*urb).interval = interval;
    }
    0
}
