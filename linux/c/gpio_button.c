// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * A platform device for a push button on line 0 of the GPIO chip that is labelled "button": what a
 * devicetree would describe, for a machine that has none. The chip is one of gpio-sim's.
 */

#include <linux/err.h>
#include <linux/gpio/consumer.h>
#include <linux/gpio/driver.h>
#include <linux/gpio/machine.h>
#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/platform_device.h>

static struct gpio_device *gdev;
static struct gpio_desc *line;
static struct platform_device *button;

static int __init gpio_button_init(void)
{
	struct resource irq = {};
	int err;

	gdev = gpio_device_find_by_label("button");
	if (!gdev)
		return -ENODEV;
	/* gpio-sim interrupts only for lines that somebody has requested. */
	line = gpiochip_request_own_desc(gpio_device_get_chip(gdev), 0, "button",
					 GPIO_LOOKUP_FLAGS_DEFAULT, GPIOD_IN);
	if (IS_ERR(line)) {
		err = PTR_ERR(line);
		goto put;
	}
	err = gpiod_to_irq(line);
	if (err < 0)
		goto free;
	irq = DEFINE_RES_IRQ(err);
	button = platform_device_register_simple("platform_gpio", PLATFORM_DEVID_NONE, &irq, 1);
	err = PTR_ERR_OR_ZERO(button);
	if (err)
		goto free;
	return 0;

free:
	gpiochip_free_own_desc(line);
put:
	gpio_device_put(gdev);
	return err;
}
module_init(gpio_button_init);

static void __exit gpio_button_exit(void)
{
	platform_device_unregister(button);
	gpiochip_free_own_desc(line);
	gpio_device_put(gdev);
}
module_exit(gpio_button_exit);

MODULE_AUTHOR("The devscope authors");
MODULE_DESCRIPTION("A push button on a line of gpio-sim");
MODULE_LICENSE("GPL");
