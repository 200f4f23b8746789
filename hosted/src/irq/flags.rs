use crate::{bindings, ffi::c_ulong};

/// `IRQF_*`: how an interrupt is requested. They combine with `|`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flags(c_ulong);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $value:ident;)*) => {
        impl Flags {$(
            $(#[$doc])*
            pub const $name: Flags = Flags(bindings::$value as c_ulong);
        )*}
    };
}

flags! {
    /// However the line is set up already.
    TRIGGER_NONE = IRQF_TRIGGER_NONE;
    /// At a rising edge.
    TRIGGER_RISING = IRQF_TRIGGER_RISING;
    /// At a falling edge.
    TRIGGER_FALLING = IRQF_TRIGGER_FALLING;
    /// While the line is high.
    TRIGGER_HIGH = IRQF_TRIGGER_HIGH;
    /// While the line is low.
    TRIGGER_LOW = IRQF_TRIGGER_LOW;
    /// Others may have the same line.
    SHARED = IRQF_SHARED;
    /// Expects that others on the line may not match.
    PROBE_SHARED = IRQF_PROBE_SHARED;
    /// A timer's.
    TIMER = IRQF_TIMER;
    /// One for each CPU.
    PERCPU = IRQF_PERCPU;
    /// Stays on its CPU.
    NOBALANCING = IRQF_NOBALANCING;
    /// Used for polling.
    IRQPOLL = IRQF_IRQPOLL;
    /// Stays masked until the threaded handler has finished.
    ONESHOT = IRQF_ONESHOT;
    /// Stays on during suspend.
    NO_SUSPEND = IRQF_NO_SUSPEND;
    /// Is enabled on resume in any case.
    FORCE_RESUME = IRQF_FORCE_RESUME;
    /// Is never forced into a thread.
    NO_THREAD = IRQF_NO_THREAD;
    /// Resumes early.
    EARLY_RESUME = IRQF_EARLY_RESUME;
    /// If others on the line stay on during suspend, does not mind.
    COND_SUSPEND = IRQF_COND_SUSPEND;
    /// Stays disabled when requested.
    NO_AUTOEN = IRQF_NO_AUTOEN;
    /// Is not looked at by debugging.
    NO_DEBUG = IRQF_NO_DEBUG;
}

impl Flags {
    pub(crate) fn into_inner(self) -> c_ulong {
        self.0
    }
}

impl core::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, rhs: Self) -> Self::Output {
        Self(self.0 | rhs.0)
    }
}

impl core::ops::BitAnd for Flags {
    type Output = Self;

    fn bitand(self, rhs: Self) -> Self::Output {
        Self(self.0 & rhs.0)
    }
}

impl core::ops::Not for Flags {
    type Output = Self;

    fn not(self) -> Self::Output {
        Self(!self.0)
    }
}
