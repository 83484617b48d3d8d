-- fence_sessions
UPDATE satellite SET session = greatest(session + 1, %(floor)s)

-- draw_incarnation
UPDATE deployment SET incarnation = gen_random_uuid() RETURNING incarnation
