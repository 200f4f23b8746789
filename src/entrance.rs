// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An entrance for callers that no scope can stop.
//!
//! Some of what calls into a driver is not the driver's to end: another driver's interrupt thread that
//! delivers messages, a chain of notifiers, a transfer over an adapter that the driver has registered.
//! Such a caller keeps its callback for as long as it likes, so the callback has to be `'static`: it can
//! borrow nothing from the device and hold no handle. What it may hold is an [`Entrance`], which is
//! counted:
//!
//! ```text
//!   Data<'bound>  <-- borrowed by --  Device<'a>    dropped with the bodies
//!                                         ^
//!                                    gate |  open, until the scope ends
//!                                         |
//!   other driver  -- holds a -->  Arc<Entrance>     lives until the last count is gone
//! ```
//!
//! An entrance is *open* from [`Scope::entrance`] until its scope begins to end, then *closed*, for
//! good. When the scope has ended: nobody is inside, nobody comes in any more, and what was behind it
//! has been dropped. Whoever still holds the entrance is told "no".
//!
//! ```
//! # use devscope::{entrance::{Entrance, Side}, work::Work, Scope};
//! # use kernel::{prelude::*, sync::{atomic::{Atomic, Relaxed}, Arc}};
//! # struct Data { last: Atomic<u32> }
//! # struct Channel;
//! # impl Channel { fn deliver_to(&self, _: impl Fn(u32) -> Result + Send + Sync + 'static) {} }
//! /// What a message from the mailbox reaches.
//! struct Messages;
//!
//! impl Side for Messages {
//!     type Device<'a> = (&'a Data, Work<'a>);
//! }
//!
//! # fn attach<'a>(data: &'a Data, scope: &mut Scope<'a>, channel: &Channel) -> Result {
//! let work = scope.work(move || { /* look at `data.last` */ })?;
//! let messages = scope.entrance::<Messages>((data, work))?;
//! // The mailbox is another driver's, and may deliver whenever it likes, for ever.
//! channel.deliver_to(move |message| {
//!     let delivered = messages.try_access_with(|(data, work)| {
//!         data.last.store(message, Relaxed);
//!         work.schedule();
//!     });
//!     delivered.ok_or(ENODEV)
//! });
//! # Ok(())
//! # }
//! ```
//!
//! There is no way to ask whether an entrance is open and to come in later: the answer would be old
//! by then. Linux's `Revocable` has the same verb and a smaller promise: it guards with RCU, so its users
//! may not sleep, each one that is revoked waits for a grace period of its own, and what it guards is
//! `'static`.
//!
//! # Edges
//!
//! Unbinding waits for whoever is inside. One who sleeps there sleeps on a
//! [`WaitQueue`](crate::wait::WaitQueue) of the scope, which its end wakes. Unbinding the device from
//! inside would wait for itself for ever, as it would in C.
//!
//! The text of the module is not covered. Whoever keeps a callback of a driver has to keep the driver's
//! module with it, as `fops.owner` does for files.

use crate::{
    body::Body,
    gate::Gate,
    scope::{Member, Scope, Step},
};
use core::{cell::Cell, ptr, ptr::NonNull};
use kernel::{prelude::*, sync::Arc};

/// What callers from outside find behind an entrance while the device is bound.
pub trait Side: 'static {
    /// Usually a structure or tuple of `&'a Data` and some handles.
    ///
    /// It lives for `'a`, the time of the scope, so it borrows nothing that ends earlier. Callers share
    /// it, on any CPU; the task that ends the scope drops it. (For the bound `'a` see
    /// [`File::Device`](crate::file::File::Device).)
    type Device<'a>: Send + Sync + 'a;
}

/// A counted way in, which closes when the scope ends.
///
/// # If leaked
///
/// Its own memory is lost, and no more: the scope closes the gate and drops what is behind it whether
/// or not anybody holds the entrance.
///
/// # Invariants
///
/// While anybody is inside `gate`, `device` points to the body of the member that was made with this
/// entrance, and that body has not been dropped.
#[pin_data]
pub struct Entrance<S: Side> {
    #[pin]
    gate: Gate,
    /// Written once, before the scope gives the entrance out.
    device: Cell<*const Body<S::Device<'static>>>,
}

// SAFETY: `device` is written before anybody else holds the entrance, and read afterwards. What it points
// to is shared between callers, and made for that: `Device` is `Sync`. It is not dropped through here.
unsafe impl<S: Side> Send for Entrance<S> {}
// SAFETY: As above.
unsafe impl<S: Side> Sync for Entrance<S> {}

impl<S: Side> Entrance<S> {
    /// Calls `f` with what is behind the entrance, or returns `None` if the scope is ending or has ended.
    ///
    /// Unbinding waits until `f` has returned. Any context but NMI; `f` may sleep if its caller may.
    /// Costs two changes of a counter of this CPU.
    #[inline]
    pub fn try_access_with<R>(
        &self,
        f: impl for<'x, 'd> FnOnce(&'x S::Device<'d>) -> R,
    ) -> Option<R> {
        let _inside = self.gate.enter()?;
        // SAFETY: We are inside the gate, so the body is there, and is not dropped before we have left
        // (invariant). `f` takes a device side of any lifetime, so it cannot tell that this one is called
        // `'static`, and can keep neither it nor the reference.
        Some(f(unsafe { (*self.device.get()).get() }))
    }
}

/// The device side of an entrance, as a member of its scope.
struct Hall<'a, S: Side> {
    entrance: Body<Arc<Entrance<S>>>,
    device: Body<S::Device<'a>>,
}

// SAFETY: The device side is reached through the gate only, which is closed by `Close` and idle after
// `AwaitUsers`. From outside the scope nothing else leads to the member.
unsafe impl<S: Side> Member for Hall<'_, S> {
    unsafe fn step(this: NonNull<Self>, step: Step) {
        // SAFETY: `this` is a member of a scope, and our count of the entrance is dropped later, with the
        // bodies.
        let gate = unsafe { &this.as_ref().entrance.get().gate };
        match step {
            Step::Close => gate.close(),
            Step::AwaitUsers => gate.wait_until_idle(),
            _ => {}
        }
    }

    unsafe fn drop_body(&self) {
        // SAFETY: The caller makes the same promise to us. The entrance lasts as long as the last who
        // holds it; only our count goes.
        unsafe {
            self.device.drop_in_place();
            self.entrance.drop_in_place();
        }
    }
}

impl<'a> Scope<'a> {
    /// Makes an entrance to `device` for callers from outside the scope.
    ///
    /// It is open at once: a callback that holds it may be called, and come in, before `attach()` has
    /// returned. If `attach()` fails it is closed with all else.
    ///
    /// May sleep. Errors: `ENOMEM`.
    pub fn entrance<S: Side>(&mut self, device: S::Device<'a>) -> Result<Arc<Entrance<S>>> {
        let entrance = Arc::pin_init(
            try_pin_init!(Entrance::<S> {
                gate <- Gate::new(),
                device: Cell::new(ptr::null()),
            }),
            GFP_KERNEL,
        )?;
        let hall = self.join(Ok::<_, Error>(Hall::<'a, S> {
            entrance: Body::new(entrance.clone()),
            device: Body::new(device),
        }))?;
        // INVARIANT: The body stays in place with its member, and is dropped after the gate was idle. That
        // it is called `'static` from here on is nothing that `try_access_with` shows to anybody.
        entrance.device.set((&raw const hall.device).cast());
        Ok(entrance)
    }
}

#[cfg(CONFIG_DEVSCOPE_KUNIT_TEST)]
#[kunit_tests(devscope_entrance)]
mod tests {
    use super::*;
    use crate::testing::{bind_and_unbind, pause, Answer, Bound, Count};
    use crate::{work::Work, Scheduled};
    use kernel::{new_mutex, sync::Mutex};

    /// Behind the entrance: a count, and a work item.
    struct Counted;

    impl Side for Counted {
        type Device<'a> = (&'a Seen, Work<'a>);
    }

    #[pin_data]
    struct Seen {
        accesses: Count,
        runs: Count,
        answer: Answer,
    }

    #[derive(Default)]
    struct Empty;

    impl Side for Empty {
        type Device<'a> = OnDropOf<'a>;
    }

    /// Counts that it was dropped.
    struct OnDropOf<'a>(&'a Count);

    impl Drop for OnDropOf<'_> {
        fn drop(&mut self) {
            self.0.up();
        }
    }

    fn seen() -> Seen {
        Seen {
            accesses: Count::new(),
            runs: Count::new(),
            answer: Answer::default(),
        }
    }

    #[test]
    fn an_entrance_lets_in_while_its_scope_lives_and_refuses_afterwards() -> Result {
        let kept = Arc::pin_init(new_mutex!(None::<Arc<Entrance<Counted>>>), GFP_KERNEL)?;
        let keeper: Arc<Mutex<_>> = kept.clone();
        let bound = bind_and_unbind(seen(), |seen, scope| {
            let work = scope.work(move || {
                seen.runs.up();
            })?;
            let entrance = scope.entrance::<Counted>((seen, work))?;
            let inside = entrance.try_access_with(|(seen, work)| {
                seen.answer.note(work.schedule());
                seen.accesses.up()
            });
            seen.accesses.set(if inside == Some(1) { 10 } else { 20 });
            pause();
            *keeper.lock() = Some(entrance);
            Ok(())
        })?;
        let entrance = kept.lock().take();
        let refused = entrance.as_ref().and_then(|entrance| {
            entrance.try_access_with(|(seen, _)| {
                seen.accesses.up();
            })
        });
        drop(entrance);
        assert!(refused.is_none());
        assert_eq!(bound.data().accesses.get(), 10);
        assert!(bound.data().answer.is(Scheduled::Queued));
        Ok(())
    }

    #[test]
    fn what_is_behind_an_entrance_is_dropped_once_whoever_holds_it() -> Result {
        let mut kept = None;
        let bound = Bound::new(Count::new())?;
        bound.attach(|dropped, scope| {
            kept = Some(scope.entrance::<Empty>(OnDropOf(dropped))?);
            core::mem::forget(kept.clone());
            Ok(())
        })?;
        let before = bound.data().get();
        bound.unbind();
        let after = bound.data().get();
        // The leaked count is given back, for the leak checkers of both worlds.
        if let Some(entrance) = &kept {
            // SAFETY: One count was forgotten above.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(entrance)) });
        }
        drop(kept);
        assert_eq!(before, 0);
        assert_eq!(after, 1);
        assert_eq!(bound.data().get(), 1);
        Ok(())
    }

    #[test]
    fn an_entrance_of_a_failed_attach_is_closed() -> Result {
        let mut kept = None;
        let bound = Bound::new(Count::new())?;
        let failed = bound.attach(|dropped, scope| {
            kept = Some(scope.entrance::<Empty>(OnDropOf(dropped))?);
            Err(EIO)
        });
        let refused = kept
            .as_ref()
            .is_some_and(|entrance| entrance.try_access_with(|_| ()).is_none());
        drop(kept);
        assert!(failed == Err(EIO));
        assert!(refused);
        assert_eq!(bound.data().get(), 1);
        Ok(())
    }

    #[test]
    fn who_is_inside_is_waited_for() -> Result {
        let bound = bind_and_unbind((Count::new(), Count::new()), |(inside, ended), scope| {
            let bell = scope.wait_queue()?;
            let entrance = scope.entrance::<Empty>(OnDropOf(ended))?;
            scope
                .work(move || {
                    entrance.try_access_with(|OnDropOf(ended)| {
                        inside.up();
                        bell.wake_all();
                        // Nobody brings this: the end of the scope does.
                        let _ = bell.wait_until(|| ended.get() != 0);
                        inside.set(if ended.get() == 0 { 10 } else { 20 });
                    });
                })?
                .schedule();
            bell.wait_until(|| inside.get() != 0)
        })?;
        assert_eq!(bound.data().0.get(), 10);
        assert_eq!(bound.data().1.get(), 1);
        Ok(())
    }
}
