// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A program has a frame buffer mapped when the device is unplugged, and goes on drawing.
//!
//! The core freed the frame buffer, and the next page fault, or the notice of the next write, used it. Here
//! pages belong to the driver's data, every mapping of them is taken away before that goes, and a fault comes
//! in by the node's gate or gets SIGBUS. A character device stands in for the frame buffer's. A program is
//! told of its writes by a fault here, and the driver is not: there is no `page_mkwrite`.

use crate::{
    harness::reached,
    stage::{bind, take_away, Data, Shape, Shaped},
};
use devscope::{
    cdev::Region,
    file::File,
    mmap::{Area, Mapping, Pages},
    Scope,
};
use kernel::{
    hosted::{edu::Edu, Machine, Protection, Sigbus},
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};

pub const BUGS: &[&str] = &["fb-defio-mapping-state"];
pub const REACHES: &[&str] = &[
    "a mapping was made after unbind() began",
    "refused: a fault on a page that was there before, by SIGBUS",
    "refused: a first fault, by SIGBUS",
    "refused: a fault in a child of the program, by SIGBUS",
    "refused: a fault when the device was bound again, by SIGBUS",
    "refused: another mapping",
];

static REGION: Region = Region::new(c"fb", 1);

pub struct Framebuffer {
    pages: Pages,
    mapped: Atomic<i32>,
}

/// An open file.
struct Node;

#[vtable]
impl File for Node {
    type Device<'a> = &'a Data<'a, Framebuffer>;
    type OwnerModule = module::Owner;

    fn open(_: &Self::Device<'_>) -> Result<Arc<Self>> {
        Ok(Arc::new(Node, GFP_KERNEL)?)
    }

    fn mmap<'a>(&self, fb: &&'a Data<'a, Framebuffer>, _: &Area<'a>) -> Result<Mapping<'a>> {
        fb.mapped.fetch_add(1, Relaxed);
        fb.late("a mapping was made after unbind() began");
        Ok(Mapping::pages(&fb.pages))
    }
}

driver!(module, super::Driver);
pub struct Driver;

impl Shape for Driver {
    type Own = Framebuffer;

    fn own() -> impl PinInit<Framebuffer, Error> {
        Pages::new(2).map(|pages| Framebuffer {
            pages,
            mapped: Atomic::new(0),
        })
    }

    fn attach<'a>(fb: &'a Data<'_, Framebuffer>, scope: &mut Scope<'a>) -> Result {
        let minors = scope.minors(&REGION, 1, fb.pdev.as_ref())?;
        scope.cdev::<Node>(minors, 0, fmt!("fb0"), fb)
    }
}

const SHARED: Protection = Protection {
    write: true,
    private: false,
};

const PAGE: usize = 4096;

pub fn scenario(machine: &Machine) {
    let (module, slot) = bind(machine, &module::MODULE, Edu::new());
    let file = machine.open("fb0").expect("the node opens");
    let map = file.mmap(0, 2, SHARED).expect("the pages are mapped");
    map.write(0, 1).expect("the page is there");
    let draws = machine.spawn("draws", move || {
        let child = map.fork();
        for value in 2..5 {
            if map.write(0, value).is_err() {
                reached("refused: a fault on a page that was there before, by SIGBUS");
            }
        }
        if map.write(PAGE, 1).is_err() {
            reached("refused: a first fault, by SIGBUS");
        }
        if child.read(0).is_err() {
            reached("refused: a fault in a child of the program, by SIGBUS");
        }
        (map, child)
    });
    let maps = machine.spawn("maps", move || {
        for _ in 0..2 {
            match file.mmap(0, 2, SHARED) {
                Ok(map) => {
                    let _ = map.write(PAGE, 1);
                    map.unmap();
                }
                Err(error) => {
                    assert_eq!(error, ENODEV);
                    reached("refused: another mapping");
                }
            }
        }
        file
    });
    slot.unbind().expect("the device unbinds");
    let ((map, child), file) = (draws.join(), maps.join());
    file.close().expect("close() succeeds");
    for page in [0, PAGE] {
        assert_eq!(map.read(page), Err(Sigbus));
        assert_eq!(child.write(page, 1), Err(Sigbus));
    }
    slot.bind().expect("the device binds again");
    assert_eq!(map.write(0, 1), Err(Sigbus));
    reached("refused: a fault when the device was bound again, by SIGBUS");
    slot.unbind().expect("the device unbinds again");
    assert_eq!(module.unload(), Err(EAGAIN));
    map.unmap();
    child.unmap();
    take_away(module, slot);
}
