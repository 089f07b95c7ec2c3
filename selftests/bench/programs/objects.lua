-- SPDX-License-Identifier: GPL-2.0 OR MIT
--
-- Tables, strings and closures that come and go: binary trees, a string table,
-- buffers that grow.

local function tree(depth)
	if depth == 0 then
		return { false, false }
	end
	return { tree(depth - 1), tree(depth - 1) }
end

local function count(t)
	return t[1] and 1 + count(t[1]) + count(t[2]) or 1
end

local seed = 12345
local function rand(n)
	seed = (seed * 1103515245 + 12345) % 2147483648
	return (seed >> 8) % n
end

local total = 0
local long_lived = tree(15)
for _ = 1, 30 do
	total = total + count(tree(13))
	local strings = {}
	for i = 1, 40000 do
		local key = "key " .. rand(8000)
		strings[key] = (strings[key] or "") .. string.char(65 + i % 26)
	end
	local list = {}
	for key, value in pairs(strings) do
		list[#list + 1] = key .. "=" .. value
	end
	table.sort(list)
	total = total + #table.concat(list, ",")
end
print(total + count(long_lived))
