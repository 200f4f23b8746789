// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Case 1 in C: the interrupt that outlives its bottom half. The device is QEMU's edu.
 *
 * remove() kills the tasklet and returns; only then does devres free the interrupt. In between, the
 * handler still runs, and schedules the tasklet that has just been killed. Two shapes of it:
 *
 * - An interrupt comes late: the tasklet runs on what devres has freed meanwhile.
 * - Each run of the tasklet brings about the next interrupt: whenever tasklet_kill() looks, the
 *   tasklet is scheduled again, and it never returns.
 *
 * The cure by hand is one call, devm_free_irq() before tasklet_kill(): case1_cured.c builds this
 * file with it.
 *
 * Whether an interrupt asks for another one is decided by whoever raises it. In the driver that is
 * the tasklet only; the first one comes from a program that writes to the device's BAR.
 */

#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/spinlock.h>

#define INTERRUPT_STATUS	0x24
#define RAISE			0x60
#define ACKNOWLEDGE		0x64

#define AND_ANOTHER		0x200

/*
 * Not part of the defect: it makes the race wide enough to be seen in one try. As long as this, in
 * milliseconds, remove() takes from killing the tasklet to returning, which is when the late
 * interrupt comes; and twice as long the tasklet takes before it looks at its device, which is when
 * devres frees it. A real driver gets there by resetting its hardware in the one place, and by
 * having a lot to do in the other.
 */
static unsigned int widen_ms;
module_param(widen_ms, uint, 0444);
MODULE_PARM_DESC(widen_ms, "how wide the race is made, in milliseconds");

struct case1 {
	void __iomem *regs;
	int irq;
	struct tasklet_struct tasklet;
	spinlock_t lock;
	u32 seen;
	unsigned int events;
};

static irqreturn_t case1_irq(int irq, void *cookie)
{
	struct case1 *c = cookie;
	u32 status = readl(c->regs + INTERRUPT_STATUS);

	if (!status)
		return IRQ_NONE;
	writel(status, c->regs + ACKNOWLEDGE);
	c->seen = status;
	tasklet_schedule(&c->tasklet);
	return IRQ_HANDLED;
}

static void case1_bottom_half(struct tasklet_struct *t)
{
	struct case1 *c = container_of(t, struct case1, tasklet);
	bool again;

	mdelay(2 * widen_ms);

	spin_lock(&c->lock);
	c->events++;
	again = c->seen & AND_ANOTHER;
	spin_unlock(&c->lock);
	if (again)
		writel(AND_ANOTHER, c->regs + RAISE);
}

static int case1_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct case1 *c;
	int err;

	c = devm_kzalloc(&pdev->dev, sizeof(*c), GFP_KERNEL);
	if (!c)
		return -ENOMEM;
	err = pcim_enable_device(pdev);
	if (err)
		return err;
	pci_set_master(pdev);
	c->regs = pcim_iomap(pdev, 0, 0);
	if (!c->regs)
		return -ENOMEM;
	err = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_ALL_TYPES);
	if (err < 0)
		return err;
	c->irq = pci_irq_vector(pdev, 0);
	spin_lock_init(&c->lock);
	tasklet_setup(&c->tasklet, case1_bottom_half);
	pci_set_drvdata(pdev, c);
	return devm_request_irq(&pdev->dev, c->irq, case1_irq, IRQF_SHARED, "case1", c);
}

static void case1_remove(struct pci_dev *pdev)
{
	struct case1 *c = pci_get_drvdata(pdev);

#ifdef CURED
	devm_free_irq(&pdev->dev, c->irq, c);
#endif
	tasklet_kill(&c->tasklet);
	if (widen_ms)
		msleep(widen_ms);
}

static const struct pci_device_id case1_ids[] = {
	{ PCI_DEVICE_CLASS(0x00ff00, 0xffff00) },
	{ }
};
MODULE_DEVICE_TABLE(pci, case1_ids);

static struct pci_driver case1_driver = {
	.name = "case1",
	.id_table = case1_ids,
	.probe = case1_probe,
	.remove = case1_remove,
};
module_pci_driver(case1_driver);

MODULE_AUTHOR("The devscope authors");
MODULE_DESCRIPTION("An interrupt that outlives its tasklet");
MODULE_LICENSE("GPL");
