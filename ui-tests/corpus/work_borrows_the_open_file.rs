// The device borrows nothing of an open file: a program would close it under the work that uses it.
// SPDX-License-Identifier: GPL-2.0-only OR MIT
//
// Programs invoke functions on a signal processor. Its answers come as work, which goes back to the state
// of the file that asked; and close() had freed that. (A line's event goes over all files that watch the
// line, one being closed; and the encoder's work is not done with a file's context when it says so.)
//
// Corpus: fastrpc-user-vs-put-work, gpiolib-lineinfo-notify, mtk-vcodec-m2m-job-vs-work.

use devscope::{file::File, platform::Driver, work::Work, Scope};
use kernel::{
    device::{Bound, Core},
    new_mutex, of, platform,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, Mutex,
    },
};

/// What a program has at the signal processor.
struct User {
    answers: Atomic<i32>,
}

/// Who waits for answers.
#[pin_data]
struct Pending<'a> {
    #[pin]
    users: Mutex<KVec<&'a User>>,
}

struct FastrpcDevice<'a> {
    pending: Arc<Pending<'a>>,
    answer: Work<'a>,
}

/// One open file.
struct FastrpcFile {
    user: User,
}

struct Fastrpc;

kernel::of_device_table!(TABLE, (), [(of::DeviceId::new(c"devscope,fastrpc"), ())]);

impl Driver for Fastrpc {
    type IdInfo = ();
    type Data<'bound> = ();
    const OF_ID_TABLE: Option<of::IdTable<()>> = Some(&TABLE);

    fn probe<'bound>(
        _dev: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound ()>,
    ) -> impl PinInit<(), Error> + 'bound {
        Ok::<_, Error>(())
    }

    fn attach<'a>(
        _dev: &'a platform::Device<Bound>,
        _data: Pin<&'a ()>,
        scope: &mut Scope<'a>,
    ) -> Result {
        let pending = Arc::pin_init(
            try_pin_init!(Pending {
                users <- new_mutex!(KVec::new()),
            }),
            GFP_KERNEL,
        )?;
        let asked = pending.clone();
        let answer = scope.work(move || {
            for user in asked.users.lock().drain_all() {
                user.answers.add(1, Relaxed);
            }
        })?;
        scope.misc_device::<FastrpcFile>(c"fastrpc", FastrpcDevice { pending, answer })
    }
}

#[vtable]
impl File for FastrpcFile {
    type Device<'a> = FastrpcDevice<'a>;

    fn open(_dev: &FastrpcDevice<'_>) -> Result<Arc<Self>> {
        let answers = Atomic::new(0);
        let user = User { answers };
        Ok(Arc::new(FastrpcFile { user }, GFP_KERNEL)?)
    }

    /// Invokes a function.
    fn ioctl(&self, dev: &FastrpcDevice<'_>, _cmd: u32, _arg: usize) -> Result<isize> {
        dev.pending.users.lock().push(&self.user, GFP_KERNEL)?;
        dev.answer.schedule();
        Ok(0)
    }
}

devscope::module_platform_driver! {
    type: Fastrpc,
    name: "fastrpc",
    authors: ["The devscope authors"],
    description: "Functions on a signal processor",
    license: "GPL",
}

fn main() {}
