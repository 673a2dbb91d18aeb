// SPDX-License-Identifier: GPL-2.0-or-later
/* Counts of writes in flight; dm/gate.rs argues the order in which they are used. */
#include <linux/delay.h>
#include <linux/slab.h>

#include "glue.h"

struct dm_remap_generations {
	struct dm_remap_generation of[2];
};

struct dm_remap_gate *dm_remap_gate_new(void)
{
	struct dm_remap_gate *gate = kzalloc(sizeof(*gate), GFP_KERNEL);

	if (!gate)
		return NULL;
	gate->all = alloc_percpu(struct dm_remap_generations);
	if (!gate->all) {
		kfree(gate);
		return NULL;
	}
	gate->open = &gate->all->of[0];
	gate->closed = &gate->all->of[1];
	return gate;
}

void dm_remap_gate_free(struct dm_remap_gate *gate)
{
	free_percpu(gate->all);
	kfree(gate);
}

void dm_remap_gate_enter(struct dm_remap_gate *gate, struct bio *bio)
{
	dm_remap_enter(gate, bio);
}

int dm_remap_gate_leave(struct bio *bio)
{
	dm_remap_leave(bio);
	return DM_ENDIO_DONE;
}

void dm_remap_gate_turn(struct dm_remap_gate *gate)
{
	struct dm_remap_generation __percpu *before = gate->open;

	WRITE_ONCE(gate->open, gate->closed);
	gate->closed = before;
}

unsigned long dm_remap_gate_closed_entered(struct dm_remap_gate *gate)
{
	unsigned long entered = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		entered += READ_ONCE(per_cpu_ptr(gate->closed, cpu)->entered);
	return entered;
}

unsigned long dm_remap_gate_closed_left(struct dm_remap_gate *gate)
{
	unsigned long left = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		left += READ_ONCE(per_cpu_ptr(gate->closed, cpu)->left);
	return left;
}

void dm_remap_gate_wait(void)
{
	usleep_range(50, 500);
}
