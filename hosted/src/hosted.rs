//! A small model of Linux's driver core.

/// Says that the model does not have a function (yet).
#[track_caller]
pub(crate) fn absent(name: &str) -> ! {
    panic!("devscope bug: the model has no `{name}`")
}
