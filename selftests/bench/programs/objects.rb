# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Strings, hashes, arrays and structs that come and go.

Point = Struct.new(:x, :y, :name)

seed = 12345
rand = lambda do |n|
  seed = (seed * 1103515245 + 12345) % 2147483648
  (seed >> 8) % n
end

total = 0
3.times do
  table = Hash.new { |h, k| h[k] = [] }
  150_000.times do |i|
    table["key-#{rand.call(30_000)}"] << Point.new(i, i * 2, "point number #{i} of many")
  end
  table.delete_if { |_, v| v.size.odd? }
  text = table.map { |k, v| "#{k}=#{v.map(&:name).join(',')}" }.join(";")
  parts = text.split(/[;,]/).sort
  total += text.size + parts.size + parts.each_slice(7).map { |a| a.join.reverse }.join.size
end
puts total
