// SPDX-License-Identifier: GPL-2.0-or-later
/* The queue on which a target does what may sleep. */
#include <linux/slab.h>

#include "glue.h"

static void dm_remap_on_work(struct work_struct *work)
{
	struct dm_remap_worker *worker = container_of(work, struct dm_remap_worker, work);

	dm_remap_rs_work(worker->target);
}

static void dm_remap_on_timer(struct work_struct *work)
{
	struct dm_remap_worker *worker =
		container_of(to_delayed_work(work), struct dm_remap_worker, timer);

	dm_remap_rs_timer(worker->target);
}

struct dm_remap_worker *dm_remap_worker_new(void)
{
	return kzalloc(sizeof(struct dm_remap_worker), GFP_KERNEL);
}

void dm_remap_worker_free(struct dm_remap_worker *worker)
{
	kfree(worker);
}

int dm_remap_worker_start(struct dm_remap_worker *worker, const char *name, void *target)
{
	INIT_WORK(&worker->work, dm_remap_on_work);
	INIT_DELAYED_WORK(&worker->timer, dm_remap_on_timer);
	worker->target = target;
	worker->queue = alloc_workqueue("%s", WQ_MEM_RECLAIM | WQ_UNBOUND, 0, name);
	return worker->queue ? 0 : -ENOMEM;
}

void dm_remap_worker_kick(struct dm_remap_worker *worker)
{
	queue_work(worker->queue, &worker->work);
}

void dm_remap_worker_after(struct dm_remap_worker *worker, unsigned int milliseconds)
{
	mod_delayed_work(worker->queue, &worker->timer, msecs_to_jiffies(milliseconds));
}

void dm_remap_worker_rest(struct dm_remap_worker *worker)
{
	cancel_delayed_work_sync(&worker->timer);
	flush_work(&worker->work);
}

void dm_remap_worker_stop(struct dm_remap_worker *worker)
{
	destroy_workqueue(worker->queue);
}
