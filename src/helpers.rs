// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Inline C functions that have no binding of their own.
//!
//! In Linux they are defined in `linux/helpers.c`, which is linked into the module; the hosted
//! kernel exports the same symbols.

use kernel::{bindings, prelude::*};

extern "C" {
    /// `tasklet_schedule()`: true if this call queued the tasklet, false if it was queued already.
    /// Any context. The tasklet must have been set up and must not be freed before it was killed.
    pub(crate) fn devscope_tasklet_schedule(t: *mut bindings::tasklet_struct) -> bool;

    /// `percpu_ref_tryget_live()`. Any context; `r` is between init and exit.
    pub(crate) fn devscope_percpu_ref_tryget_live(r: *mut bindings::percpu_ref) -> bool;

    /// `percpu_ref_put()`. Any context; pairs with one successful tryget.
    pub(crate) fn devscope_percpu_ref_put(r: *mut bindings::percpu_ref);

    /// `!in_task() || in_atomic()`: whether the caller must not sleep, as far as the kernel knows.
    pub(crate) fn devscope_in_atomic_context() -> bool;

    /// `irq_set_affinity_and_hint()`. `m` stays in place until the line has another hint, or none.
    pub(crate) fn devscope_irq_set_affinity_and_hint(
        irq: c_uint,
        m: *const bindings::cpumask,
    ) -> c_int;

    /// `irq_update_affinity_hint()`. The same; null takes the hint away.
    pub(crate) fn devscope_irq_update_affinity_hint(
        irq: c_uint,
        m: *const bindings::cpumask,
    ) -> c_int;
}
